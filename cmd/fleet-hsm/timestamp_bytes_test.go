//go:build linux

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestTimestampBytes: timestamp in a folder and timestamp --store on a copy of it write the
// same bytes. Ed25519 has no randomness in it, so nothing but the content decides.
func TestTimestampBytes(t *testing.T) {
	t.Parallel()
	made, err := template("consistent")
	check(t, err)
	now := time.Now().UTC().Truncate(time.Second)
	for name, at := range map[string]time.Time{
		"later": now.Add(time.Minute),
		// Where the published one expires a moment later its expiry stays.
		"a second back": expiryOf(t, made).Add(-14*24*time.Hour - time.Second),
	} {
		dir, served := t.TempDir(), t.TempDir()
		check(t, copyTree(made, dir))
		check(t, copyTree(filepath.Join(made, "repository"), served))
		clock := []string{testClock + "=" + at.Format(time.RFC3339), "STATE_DIRECTORY=" + t.TempDir()}
		for _, args := range [][]string{{"timestamp", "--path", dir, "--store", "file://" + served}, {"timestamp", "--path", dir}} {
			if r := hsm(t, clock, args...); r.code != 0 {
				t.Fatalf("%s, %q: exit %d\n%s", name, args, r.code, r.stderr)
			}
		}
		here, err := os.ReadFile(filepath.Join(dir, "repository", "timestamp.json"))
		check(t, err)
		there, err := os.ReadFile(filepath.Join(served, "timestamp.json"))
		check(t, err)
		if before, err := os.ReadFile(filepath.Join(made, "repository", "timestamp.json")); err != nil || string(before) == string(here) {
			t.Errorf("%s: nothing was signed (%v)", name, err)
		}
		if string(here) != string(there) {
			t.Errorf("%s: in the folder\n%s\non the store\n%s", name, here, there)
		}
	}
}

// expiryOf is when the published timestamp of a folder expires.
func expiryOf(t *testing.T, dir string) time.Time {
	t.Helper()
	var f struct {
		Signed struct{ Expires time.Time }
	}
	data, err := os.ReadFile(filepath.Join(dir, "repository", "timestamp.json"))
	check(t, err)
	check(t, json.Unmarshal(data, &f))
	return f.Signed.Expires
}
