//go:build linux

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestGenerateNames: a name that no key would get, or that nobody could call a key by, is
// refused before a key is made: exit 2, the flag is named, nothing is written.
func TestGenerateNames(t *testing.T) {
	t.Parallel()
	dir := copyRepo(t, "consistent")
	check(t, makeKeyFile("ed25519", filepath.Join(dir, "keys", "red.json"), "targets"))
	must(t, "rotate", "targets", "--path", dir, "--add", "file:keys/red.json", "--generate=red")
	before, err := treeOf(dir)
	check(t, err)
	blue := []string{"rotate", "targets", "--add", "file:keys/blue.json"}
	fresh := func(args ...string) []string {
		return append([]string{"init", "--targets-key", "file:b.json"}, args...)
	}
	for _, c := range []struct {
		why, names string
		args       []string
	}{
		{"no key is named", "blue", []string{"init"}},
		{"no key is named", "blue", []string{"rotate", "targets"}},
		{"more names than keys", "blue,green", blue},
		{"more names than keys", "a,b,c", fresh("--root-key", "file:a.json")},
		{"a key that is there already is not made", "blue,green", append(blue, "--add", "red", "--add", "file:keys/targets.json")},
		{"its key has its own name", "green", []string{"rotate", "timestamp", "--add", "red"}},
		{"another key has the name", "red", blue},
		{"the same name twice", "a,a", fresh("--root-key", "file:a.json")},
		{"an equals sign", "a=b=c", blue}, {"an equals sign", "a=b=c", fresh()},
		{"a colon", "file:x", blue}, {"empty", "a,", fresh("--root-key", "file:a.json")}, {"a space before", "a, b", fresh("--root-key", "file:a.json")},
		{"a serial number", "15835999", blue}, {"a key ID", "5d0f12ab", blue}, {"a control character", "a\x1bb", blue}, {"a line", "a\nb", blue},
		{"right to left", "a\u202eb", blue}, {"like a flag", "-a", blue}, {"long", strings.Repeat("a", 65), blue}, {"a variable", "$NAME", blue},
		{"in a plan", "a=b", append(blue, "--plan")}, {"in a dry run", "a,b", append(blue, "--dry-run")},
	} {
		path := dir
		if c.args[0] == "init" {
			path = filepath.Join(t.TempDir(), "new")
		}
		r := hsm(t, nil, append(c.args, "--path", path, "--generate="+c.names)...)
		if r.code != exitUsage || !strings.Contains(r.stderr, "--generate=") {
			t.Errorf("%s: %q: exit %d\n%s", c.why, c.names, r.code, r.stderr)
		}
		if _, err := os.Stat(path); path != dir && err == nil {
			t.Errorf("%s: %q: the folder was made", c.why, c.names)
		}
	}
	if now, err := treeOf(dir); err != nil || now != before {
		t.Errorf("something was written: %v\n%s\nwas\n%s", err, now, before)
	}
	if r := hsm(t, nil, "key", "generate", "--path", dir, "file:keys/blue.json", "--name", "red"); r.code != exitUsage || !strings.Contains(r.stderr, "--name: ") {
		t.Errorf("a name that is taken: exit %d\n%s", r.code, r.stderr)
	}
	// A name for a key in a file of its role, and for one of two that is made.
	must(t, "rotate", "snapshot", "--path", dir, "--key", "file:keys/snapshot.json", "--key", "file:keys/blue.json", "--generate=blue one")
	if r := must(t, "status", "--path", dir); strings.Count(r.stdout, `"blue one"`) != 1 {
		t.Errorf("the name is not kept\n%s", r.stdout)
	}
}
