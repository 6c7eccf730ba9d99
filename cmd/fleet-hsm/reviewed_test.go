//go:build linux

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// TestReviewed: without a terminal a signature needs the hash of each payload that is
// signed, and of no other. Refused is before a key is used (the passphrases are wrong,
// which would be exit 5) and before anything is written.
func TestReviewed(t *testing.T) {
	t.Parallel()
	dir := copyRepo(t, "consistent")
	target := filepath.Join(t.TempDir(), "orbit")
	if err := os.WriteFile(target, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	must(t, "rotate", "timestamp", "--path", dir, "--stage-only")
	must(t, "add", "--path", dir, "--target", target, "--name", "orbit", "--platform", "linux", "--version", "1.0.0", "--stage-only")
	hash := hashesOf(t, dir)
	root, targets := hash["root"], hash["targets"]
	const other = "0123456789abcdef"
	spaced := root[:8] + " " + root[8:16]

	refused := func(dir string, want int, args ...string) {
		t.Helper()
		before, err := treeOf(dir)
		if err != nil {
			t.Fatal(err)
		}
		wrong := []string{"FLEET_ROOT_PASSPHRASE=wrong", "FLEET_TARGETS_PASSPHRASE=wrong"}
		r := hsm(t, wrong, append([]string{"sign", "--path", dir, "--no-input", "--yes"}, args...)...)
		if r.code != want {
			t.Errorf("sign %v: exit %d, want %d\n%s", args, r.code, want, r.stderr)
		}
		if after, err := treeOf(dir); err != nil || after != before {
			t.Errorf("sign %v wrote: %v\n%s", args, err, difference(before, after))
		}
	}
	refused(dir, exitUsage)                                                                       // none
	refused(dir, exitUsage, "--reviewed", root)                                                   // not of every role
	refused(dir, exitUsage, "--reviewed", targets)                                                // the same
	refused(dir, exitUsage, "--reviewed", root[:7])                                               // too short
	refused(dir, exitUsage, "--reviewed", "yes")                                                  // no hash
	refused(dir, exitUnverified, "--reviewed", other)                                             // of nothing
	refused(dir, exitUnverified, "--reviewed", root, "--reviewed", other)                         // one of nothing
	refused(dir, exitUnverified, "--role", "root", "--reviewed", targets)                         // of a role that is not signed now
	refused(dir, exitUsage, "--role", "root")                                                     // none
	refused(dir, exitUnverified, "--role", "targets", "--reviewed", root)                         // of the other role
	refused(dir, exitUnverified, "--role", "targets", "--reviewed", targets, "--reviewed", other) // one of nothing

	if r := hsm(t, nil, "sign", "--path", dir, "--no-input", "--role", "root", "--reviewed", spaced); r.code != exitShort {
		t.Fatalf("signing root alone: exit %d\n%s", r.code, r.stderr)
	}
	refused(dir, exitUnverified, "--reviewed", root) // signed already: says nothing of targets
	refused(dir, exitUsage)
	must(t, "sign", "--path", dir, "--no-input", "--reviewed", root, "--reviewed", targets[:8])
	must(t, "sign", "--path", dir, "--no-input", "--reviewed", root, "--reviewed", targets) // again: nothing to do
	refused(dir, exitUnverified, "--reviewed", other)
	must(t, "commit", "--path", dir)
}

// hashesOf gives what review prints, by role.
func hashesOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	var card struct {
		Roles []struct{ Role, SHA256 string }
	}
	if err := json.Unmarshal([]byte(must(t, "review", "--path", dir, "--json").stdout), &card); err != nil {
		t.Fatal(err)
	}
	hash := map[string]string{}
	for _, r := range card.Roles {
		hash[r.Role] = r.SHA256
	}
	return hash
}
