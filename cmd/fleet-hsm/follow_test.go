//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// followed is what an agent holds.
type followed struct{ Root, Targets, Snapshot, Timestamp, Count int }

// history is a repository and the agents that have seen it at some moment.
type history struct {
	t     *testing.T
	dir   string
	spare string // folders of agents
	// states are agents that stopped after a step, by the step's name, in order.
	states []string
	steps  int
}

func newHistory(t *testing.T, dir string) *history {
	return &history{t: t, dir: dir, spare: t.TempDir()}
}

func (h *history) agent(state string) followed {
	h.t.Helper()
	return h.client("fleetclient", state)
}

func (h *history) client(program, state string) followed {
	h.t.Helper()
	out, errOut, err := followWith(program, h.dir, state)
	if err != nil {
		h.t.Fatalf("after step %d %s %s refuses: %v\n%s", h.steps, program, filepath.Base(state), err, errOut)
	}
	var f followed
	if err := json.Unmarshal([]byte(out), &f); err != nil {
		h.t.Fatal(err)
	}
	return f
}

// step runs the tool and lets the agent that keeps running, and a new one, follow, and
// the clients of go-tuf v0.7.0 and v2. A copy of the first is kept as it is now.
func (h *history) step(args ...string) {
	h.t.Helper()
	must(h.t, append([]string{args[0], "--path", h.dir}, args[1:]...)...)
	h.steps++
	running := filepath.Join(h.spare, "running")
	was := h.agent(running)
	cold := h.agent(filepath.Join(h.spare, fmt.Sprintf("cold-%d", h.steps)))
	if was != cold {
		h.t.Fatalf("after %v a running agent holds %+v, a new one %+v", args, was, cold)
	}
	for _, program := range []string{"client07", "clientv2"} {
		if other := h.client(program, filepath.Join(h.spare, program)); other != was {
			h.t.Fatalf("after %v %s holds %+v, the agents %+v", args, program, other, was)
		}
	}
	kept := filepath.Join(h.spare, fmt.Sprintf("state-%02d-%s", h.steps, strings.Join(args[:min(2, len(args))], "-")))
	if err := copyTree(running, kept); err != nil {
		h.t.Fatal(err)
	}
	h.states = append(h.states, kept)
}

// everybody lets a copy of each agent of the past follow.
func (h *history) everybody() {
	h.t.Helper()
	want := h.agent(filepath.Join(h.spare, "running"))
	for _, program := range []string{"client07", "clientv2"} {
		if cold := h.client(program, filepath.Join(h.spare, fmt.Sprintf("%s-cold-%d", program, h.steps))); cold != want {
			h.t.Fatalf("a new %s holds %+v, the agents %+v", program, cold, want)
		}
	}
	for _, state := range h.states {
		again := state + "-again"
		if err := copyTree(state, again); err != nil {
			h.t.Fatal(err)
		}
		if got := h.agent(again); got != want {
			h.t.Fatalf("the agent that stopped at %s holds %+v, the others %+v", filepath.Base(state), got, want)
		}
		if err := os.RemoveAll(again); err != nil {
			h.t.Fatal(err)
		}
	}
}

// adds publishes n versions, every third also as stable, and edge always.
func (h *history) adds(n int) {
	h.t.Helper()
	for i := range n {
		file := write(h.t, "orbit", fmt.Sprintf("#!/bin/sh\necho %d\n", i))
		args := []string{"add", "--target", file, "--name", "orbit", "--platform", "linux", "--version", fmt.Sprintf("1.0.%d", i), "-t", "edge"}
		if i%3 == 0 {
			args = append(args, "-t", "stable")
		}
		h.step(args...)
	}
}

// long reports whether the campaigns run in full.
func long() bool { return os.Getenv("FLEET_HSM_LONG") != "" }

// layouts are those that agents follow: the one that is named, with FLEET_HSM_LONG both.
func layouts(short string) []string {
	if long() {
		return []string{"flat", "consistent"}
	}
	return []string{short}
}

// Agents of any age follow the life of a repository with one Ed25519 key for each
// role: init, 4 releases (20 with FLEET_HSM_LONG), a timestamp, and each role rotated twice.
func TestAgentsFollowALife(t *testing.T) {
	t.Parallel()
	releases := 4
	if long() {
		releases = 20
	}
	for _, layout := range []string{"flat", "consistent"} {
		t.Run(layout, func(t *testing.T) {
			t.Parallel()
			h := newHistory(t, copyRepo(t, layout))
			h.step("timestamp")
			h.adds(releases)
			h.step("timestamp")
			h.everybody()
			for range 2 {
				for _, role := range meta.Roles() {
					h.step("rotate", role)
				}
			}
			h.everybody()
			if f := h.agent(filepath.Join(h.spare, "running")); f.Root != 9 || f.Count != releases+2 {
				t.Errorf("at the end %+v; want root 9 and %d targets", f, releases+2)
			}
		})
	}
}

// The same with Ed25519, P-256 and RSA-3072 keys mixed in one root and 2 of 3 keys
// for every role; the second round of rotations leaves one key and threshold 1.
func TestAgentsFollowMixedKeys(t *testing.T) {
	t.Parallel()
	for _, layout := range layouts("flat") {
		t.Run(layout, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "r")
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			mixed := keyFiles(t, "ed25519", "p256", "rsa3072")
			args := []string{"init", fmt.Sprintf("--consistent-snapshot=%t", layout == "consistent")}
			for _, role := range meta.Roles() {
				args = append(args, "--"+role+"-threshold", "2")
				args = append(args, repeat("--"+role+"-key", mixed[role])...)
			}
			h := newHistory(t, dir)
			h.step(args...)
			h.adds(2)
			h.step("timestamp")
			fresh := keyFiles(t, "rsa2048", "ed25519", "p256")
			for _, role := range meta.Roles() {
				h.step(append([]string{"rotate", role}, repeat("--key", fresh[role])...)...)
			}
			h.everybody()
			for _, role := range meta.Roles() {
				h.step("rotate", role, "--key", fresh[role][2], "--threshold", "1")
			}
			h.step("timestamp")
			h.adds(1)
			h.everybody()
		})
	}
}

// keyFiles makes a key file of each algorithm for each role and gives their URIs.
func keyFiles(t *testing.T, algorithms ...string) map[string][]string {
	t.Helper()
	dir := t.TempDir()
	uris := map[string][]string{}
	for _, role := range meta.Roles() {
		for _, alg := range algorithms {
			file := filepath.Join(dir, role+"-"+alg+".json")
			if err := makeKeyFile(alg, file, role); err != nil {
				t.Fatal(err)
			}
			uris[role] = append(uris[role], "file:"+file)
		}
	}
	return uris
}

func repeat(flag string, values []string) []string {
	var out []string
	for _, v := range values {
		out = append(out, flag, v)
	}
	return out
}
