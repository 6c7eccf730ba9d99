//go:build linux

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Without a terminal no command signs what another one staged, unless somebody says that
// they have reviewed it: nothing is written, and what waits is named.
func TestPlantedChangeIsNotSigned(t *testing.T) {
	t.Parallel()
	orbit := write(t, "orbit", "orbit")
	add := func(version string, more ...string) []string {
		return append([]string{"add", "--target", orbit, "--name", "orbit", "--platform", "linux", "--version", version, "-t", "edge"}, more...)
	}
	base := copyRepo(t, "consistent")
	must(t, append(add("0.9.0"), "--path", base)...)
	flat := copyRepo(t, "flat")
	for name, plant := range map[string][]string{
		"a target": add("6.6.6", "--stage-only"),
		"a root":   {"rotate", "snapshot", "--stage-only"},
	} {
		commands := [][]string{{"rotate", "targets", "--renew"}, add("1.0.0")}
		if name == "a target" {
			commands = append(commands, []string{"promote", "0.9.0", "--from", "edge", "--to", "stable"},
				[]string{"remove", "--channel", "edge"}, []string{"rotate", "timestamp"}, []string{"migrate"})
		}
		for _, command := range commands {
			dir := filepath.Join(t.TempDir(), "r")
			from := base
			if command[0] == "migrate" {
				from = flat
			}
			if err := copyTree(from, dir); err != nil {
				t.Fatal(err)
			}
			must(t, append(plant, "--path", dir)...)
			before, err := treeOf(dir)
			if err != nil {
				t.Fatal(err)
			}
			r := hsm(t, nil, append(command, "--path", dir, "--yes", "--json")...)
			if r.code != exitRefused || !strings.Contains(r.stderr, `"kind":"not-reviewed"`) || !strings.Contains(r.stderr, plant[0]+" ") {
				t.Errorf("%s planted, %v: exit %d\n%s", name, command[0], r.code, r.stderr)
			}
			if after, err := treeOf(dir); err != nil || after != before {
				t.Errorf("%s planted, %v wrote: %v\n%s", name, command[0], err, difference(before, after))
			}
			// The timestamp of every day goes on.
			if command[0] == "add" {
				must(t, "timestamp", "--path", dir)
			}
		}
	}
}

// A change that was reviewed is taken along, and the result says so; one that was signed
// already needs no second look; discard is the other way out.
func TestStagedChangeIsTakenAlong(t *testing.T) {
	t.Parallel()
	orbit := write(t, "orbit", "orbit")
	add := func(dir, version string, more ...string) []string {
		return append([]string{"add", "--path", dir, "--target", orbit, "--name", "orbit", "--platform", "linux", "--version", version}, more...)
	}
	dir := copyRepo(t, "consistent")
	must(t, add(dir, "1.0.0", "--stage-only")...)
	must(t, add(dir, "1.1.0", "--stage-only")...) // nothing is signed, nobody is needed
	hash := hashesOf(t, dir)["targets"]
	if r := hsm(t, nil, add(dir, "1.2.0", "--reviewed", "0123456789abcdef")...); r.code != exitUnverified {
		t.Errorf("another hash: exit %d\n%s", r.code, r.stderr)
	}
	r := must(t, add(dir, "1.2.0", "--reviewed", hash[:12], "--json")...)
	if !strings.Contains(r.stdout, "took along what was staged: add orbit 1.0.0 for linux to 1.0.0; add orbit 1.1.0") {
		t.Errorf("the result does not say what was taken along: %s", r.stdout)
	}
	for _, version := range []string{"1.0.0", "1.1.0", "1.2.0"} {
		if list := must(t, "list", "--path", dir).stdout; !strings.Contains(list, version) {
			t.Errorf("%s is not published:\n%s", version, list)
		}
	}
	must(t, add(dir, "2.0.0", "--stage-only")...)
	must(t, "sign", "--path", dir, "--reviewed", hashesOf(t, dir)["targets"])
	must(t, add(dir, "2.1.0")...)
	must(t, add(dir, "3.0.0", "--stage-only")...)
	must(t, "discard", "--path", dir)
	must(t, add(dir, "3.1.0")...)
	if r := hsm(t, nil, add(dir, "4.0.0", "--reviewed", hash)...); r.code != exitRefused {
		t.Errorf("--reviewed of nothing: exit %d\n%s", r.code, r.stderr)
	}
	if list := must(t, "list", "--path", dir).stdout; strings.Contains(list, "3.0.0") || strings.Contains(list, "4.0.0") {
		t.Errorf("what was dropped or refused is published:\n%s", list)
	}
}

// One order for every command that signs: the policy refuses before anything is shown
// or asked, and so does whatever else refuses.
func TestPolicyRefusesBeforeTheReview(t *testing.T) {
	t.Parallel()
	for _, staged := range []bool{false, true} {
		dir := copyRepo(t, "consistent")
		config := filepath.Join(dir, "fleet-hsm.yaml")
		if staged {
			must(t, "rotate", "root", "--renew", "--stage-only", "--path", dir)
		}
		if err := os.WriteFile(config, []byte("policy: {root: {min-threshold: 2}}\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		args := []string{"rotate", "root", "--renew", "--path", dir}
		if staged {
			args = []string{"sign", "--path", dir}
		}
		p := atPrompt(t, nil, args...)
		code, said := p.end()
		if code != exitRefused || !strings.Contains(said, "min-threshold") || strings.Contains(said, "ROOT v1 -> v2") {
			t.Errorf("%s: exit %d\n%s", args[0], code, said)
		}
	}
}
