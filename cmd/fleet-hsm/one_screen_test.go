//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// onOneScreen are the changes that people really sign, and what each review must say.
func onOneScreen(dir string) []struct {
	name string
	args []string
	want []string
} {
	manifest := filepath.Join(dir, "release.yaml")
	return []struct {
		name string
		args []string
		want []string
	}{
		{"add", []string{"add", "--target", filepath.Join(dir, "new"), "--name", "orbit", "--platform", "linux", "--version", "1.2.4", "-t", "edge"},
			[]string{"  agents    on edge (linux): orbit 1.2.4 instead of 1.2.3", "  stays     2 targets as they are"}},
		{"add a manifest", []string{"add", "--manifest", manifest, "--no-lint", "all"}, []string{"on 2+beta (linux): install desktop+nudge+orbit+osqueryd 2.0", "orbit/linux/{2.0,2,beta}/orbit  2.0"}},
		{"promote", []string{"promote", "1.2.3", "--from", "edge", "--to", "stable"}, []string{"on stable (linux): orbit 1.2.3 instead of 1.2.2"}},
		{"remove", []string{"remove", "--channel", "edge"}, []string{"on edge (linux): keep the orbit 1.2.3 that they have"}},
		{"rotate targets", []string{"rotate", "targets"}, []string{"accept targets from the keys that gain it, no longer from those", "(since root v1)", "3 keys of other roles, as they are"}},
		{"rotate timestamp", []string{"rotate", "timestamp"}, []string{"accept timestamp from the keys that gain it"}},
		{"rotate root, add a key", []string{"rotate", "root", "--add", "file:keys/blue.json", "--generate"}, []string{"accept root from the keys that gain it too", "(since root v1)"}},
		{"rotate root, take a key out", []string{"rotate", "root", "--remove", "file:keys/second.json"}, []string{"no longer accept root from the keys that lose it"}},
		{"renew root", []string{"rotate", "root", "--renew"}, []string{"follow it by themselves, and accept the same keys", "stays     root: "}},
		{"threshold", []string{"rotate", "root", "--threshold", "2"}, []string{"want 2 signatures of root, not 1"}},
		{"archive", []string{"archive", "--keep", "1", "--stage-only"}, []string{"install what they did; "}},
	}
}

// TestReviewOnOneScreen: of the changes that people really sign the whole review stands
// on 80 columns and 24 lines, with the question below: what agents will do, who gains and
// loses what, what stays, then the hash, in words and in digits. None has a warning about
// attestation where all keys are in files.
func TestReviewOnOneScreen(t *testing.T) {
	t.Parallel()
	base, dir := copyRepo(t, "consistent"), t.TempDir()
	var targets []string
	for _, name := range []string{"orbit", "desktop", "osqueryd", "nudge"} {
		check(t, os.WriteFile(filepath.Join(dir, name), append(binaryHeader("linux"), name...), 0o755))
		targets = append(targets, fmt.Sprintf("{name: %s, platform: linux, file: %s}", name, name))
	}
	check(t, os.WriteFile(filepath.Join(dir, "new"), append(binaryHeader("linux"), "new"...), 0o755))
	check(t, os.WriteFile(filepath.Join(dir, "release.yaml"), []byte("version: \"2.0\"\nchannels: [\"2\", beta]\ntargets: ["+strings.Join(targets[:4], ", ")+"]\n"), 0o644))
	must(t, "add", "--path", base, "--target", filepath.Join(dir, "desktop"), "--name", "orbit", "--platform", "linux", "--version", "1.2.2", "-t", "stable")
	must(t, "add", "--path", base, "--target", filepath.Join(dir, "orbit"), "--name", "orbit", "--platform", "linux", "--version", "1.2.3", "-t", "edge")
	must(t, "remove", "--path", base, "orbit/linux/1.2.2/orbit")
	check(t, makeKeyFile("ed25519", filepath.Join(base, "keys", "second.json"), "root"))
	for _, c := range onOneScreen(dir) {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			repo := filepath.Join(t.TempDir(), "r")
			check(t, copyTree(base, repo))
			if c.name == "rotate root, take a key out" || c.name == "threshold" {
				must(t, "rotate", "root", "--path", repo, "--add", "file:keys/second.json")
			}
			if c.name == "archive" {
				must(t, "add", "--path", repo, "--target", filepath.Join(dir, "new"), "--name", "orbit", "--platform", "linux", "--version", "1.2.4", "-t", "edge", "-t", "stable")
			} else {
				c.args = append(c.args, "--dry-run")
			}
			r := must(t, append(c.args, "--path", repo, "--no-input")...)
			if c.name == "archive" {
				r = must(t, "review", "--path", repo)
			}
			text, _, _ := strings.Cut(r.stdout, "\nwould ")
			lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
			if len(lines) > 23 {
				t.Errorf("%d lines:\n%s", len(lines), text)
			}
			for _, l := range lines {
				if len(l) > 80 {
					t.Errorf("%d columns: %q", len(l), l)
				}
			}
			text = strings.ReplaceAll(text, "\n          > ", " ")
			for _, want := range append(c.want, "  words     ", "  sha256 ") {
				if !strings.Contains(text, want) {
					t.Errorf("no %q in\n%s", want, text)
				}
			}
			if strings.Contains(text, "attestation") {
				t.Errorf("keys in files have no attestation:\n%s", text)
			}
		})
	}
}
