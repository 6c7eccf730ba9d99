//go:build linux

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestPassphraseByteForByte: a variable means to fleet-hsm what it means to fleetctl,
// with the line end that a CI secret has, and with lines in it; what was made under
// it without that line end opens too.
func TestPassphraseByteForByte(t *testing.T) {
	t.Parallel()
	bin, err := clients()
	if err != nil {
		t.Fatal(err)
	}
	peer := func(t *testing.T, env []string, args ...string) {
		t.Helper()
		cmd := exec.Command(filepath.Join(bin, "fleetctl-peer"), args...)
		cmd.Env = append(os.Environ(), env...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("fleetctl-peer %q: %v\n%s", args, err, out)
		}
	}
	with := func(end string) []string {
		env := secretEnv()
		for i := range env {
			env[i] += end
		}
		return env
	}
	for name, end := range map[string]string{"newline": "\n", "CR and newline": "\r\n", "two lines": "\nand more", "two newlines": "\n\n"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			theirs := t.TempDir()
			peer(t, with(end), "--path", theirs, "init")
			agents := t.TempDir()
			if err := everybodyFollows(theirs, agents); err != nil {
				t.Error(err)
			}
			if r := hsm(t, with(end), "timestamp", "--path", theirs); r.code != 0 {
				t.Errorf("fleetctl's key file: exit %d\n%s", r.code, r.stderr)
			}
			if err := everybodyFollows(theirs, agents); err != nil {
				t.Error(err)
			}
			if end != "\n" {
				return
			}
			ours := t.TempDir()
			r := hsm(t, append(with(end), realKeys+"=1"), "init", "--path", ours)
			if r.code != 0 || strings.Count(r.stderr, "line end") != 4 {
				t.Errorf("init: exit %d, and four warnings of the line end are wanted\n%s", r.code, r.stderr)
			}
			peer(t, with(end), "--path", ours, "timestamp")
		})
	}
	plain := copyRepo(t, "consistent")
	if r := hsm(t, with("\n"), "timestamp", "--path", plain); r.code != 0 {
		t.Errorf("a key file made without the line end: exit %d\n%s", r.code, r.stderr)
	}
	r := hsm(t, []string{"FLEET_TIMESTAMP_PASSPHRASE=wrong\n"}, "timestamp", "--path", plain)
	if r.code != exitSecret || !strings.Contains(r.stderr, "as it stands") {
		t.Errorf("a wrong one: exit %d\n%s", r.code, r.stderr)
	}
}
