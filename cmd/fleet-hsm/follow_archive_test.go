//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// archiveLife is a repository that archives, and clients of every age that follow it: one
// of each program that follows the channels, and one that is pinned to a version.
type archiveLife struct {
	*history
	// pinned is a version's path that is in the archive from some step on.
	pinned string
	kept   []keptState
	// left: some entry has left a cold role, by prune or undo. An agent that has stored the
	// role then misses what it looks for once, and fetches the new one meanwhile (COMPAT 6).
	left bool
}

// keptState is what a client holds that stopped after a step.
type keptState struct {
	program, dir string
	pinned       bool
}

var programs = []string{"fleetclient", "client07", "clientv2"}

// follow lets a client follow, check every target of targets.json, and the pinned one.
func (a *archiveLife) follow(program, state string, pinned bool) (followed, error) {
	var names []string
	if pinned {
		names = []string{a.pinned}
	}
	out, errOut, err := followWith(program, a.dir, state, names...)
	if err != nil && pinned && a.left && program == "fleetclient" && strings.Contains(errOut, "file not found: "+a.pinned) {
		out, errOut, err = followWith(program, a.dir, state, names...)
	}
	var f followed
	if err != nil {
		return f, fmt.Errorf("%w: %s%s", err, out, errOut)
	}
	err = json.Unmarshal([]byte(out), &f)
	if pinned {
		f.Count--
	}
	return f, err
}

// run runs the tool; a key of the archive has the passphrase of targets'.
func (a *archiveLife) run(args ...string) {
	a.t.Helper()
	r := hsm(a.t, []string{"FLEET_ARCHIVE_PASSPHRASE=" + secretOf(meta.RoleTargets)}, append([]string{args[0], "--path", a.dir}, args[1:]...)...)
	if r.code != 0 {
		a.t.Fatalf("%v: exit %d\n%s", args, r.code, r.stderr)
	}
}

// next runs the tool, and lets everybody follow.
func (a *archiveLife) next(args ...string) {
	a.t.Helper()
	a.run(args...)
	a.left = a.left || args[0] == "prune" || slices.Contains(args, "--undo")
	a.steps++
	name := fmt.Sprintf("%02d-%s", a.steps, strings.Join(args[:min(2, len(args))], "-"))
	want, err := a.follow("fleetclient", filepath.Join(a.spare, "cold-"+name), false)
	if err != nil {
		a.t.Fatalf("after %v a new agent: %v", args, err)
	}
	for _, program := range programs {
		for _, c := range []struct {
			state  string
			pinned bool
		}{{program + "-running", false}, {program + "-pinned", true}, {program + "-cold-" + name, true}} {
			dir := filepath.Join(a.spare, c.state)
			got, err := a.follow(program, dir, c.pinned)
			if err != nil || got != want {
				a.t.Errorf("after %v %s holds %+v, a new agent %+v: %v", args, c.state, got, want, err)
			}
			if strings.Contains(c.state, "-cold-") {
				continue
			}
			kept := keptState{program, dir + "-after-" + name, c.pinned}
			if err := copyTree(dir, kept.dir); err != nil {
				a.t.Fatal(err)
			}
			a.kept = append(a.kept, kept)
		}
	}
}

// everyAge lets a copy of each client of the past follow.
func (a *archiveLife) everyAge() {
	a.t.Helper()
	want, err := a.follow("fleetclient", filepath.Join(a.spare, fmt.Sprintf("new-%d", len(a.kept))), false)
	if err != nil {
		a.t.Fatal(err)
	}
	for _, k := range a.kept {
		again := k.dir + "-again"
		if err := copyTree(k.dir, again); err != nil {
			a.t.Fatal(err)
		}
		got, err := a.follow(k.program, again, k.pinned)
		if err != nil || got != want {
			a.t.Errorf("after step %d %s holds %+v, a new agent %+v: %v", a.steps, filepath.Base(k.dir), got, want, err)
		}
		if err := os.RemoveAll(again); err != nil {
			a.t.Fatal(err)
		}
	}
}

// TestAgentsFollowArchive: before, through and after archive, a release, the way back of a
// version, keys of targets and of the archive that change, a renewal, prune and undo.
func TestAgentsFollowArchive(t *testing.T) {
	t.Parallel()
	for _, layout := range layouts("consistent") {
		t.Run(layout, func(t *testing.T) {
			t.Parallel()
			a := &archiveLife{history: newHistory(t, copyRepo(t, layout)), pinned: "orbit/linux/1.0.1/orbit"}
			add := func(version string) []string {
				file := write(t, "orbit", "orbit "+version+"\n")
				return []string{"add", "--target", file, "--name", "orbit", "--platform", "linux", "--version", version, "-t", "stable"}
			}
			for _, version := range []string{"1.0.0", "1.0.1", "1.0.2"} {
				a.run(add(version)...)
			}
			a.next(add("1.0.3")...)
			a.next("archive", "--keep", "2")
			a.next(add("1.0.4")...)
			a.next("promote", "1.0.1", "--from", "1.0.1", "--to", "stable")
			a.next("rotate", "targets")
			for _, uri := range keyFiles(t, "p256", "ed25519")[meta.RoleTargets] {
				a.next("archive", "--keep", "1", "--cold-key", uri)
			}
			a.everyAge()
			a.next("rotate", "targets", "--renew")
			a.next("rotate", "snapshot")
			a.next("prune", "--keep", "4")
			if long() {
				a.everyAge()
			}
			a.next("archive", "--undo")
			a.next(add("1.0.5")...)
			a.everyAge()
			if long() {
				a.next("archive", "--keep", "1")
				a.next("timestamp")
				a.next("archive", "--undo")
				a.everyAge()
			}
		})
	}
}
