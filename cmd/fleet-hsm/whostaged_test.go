//go:build linux

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A staged change says by which command each part of it was staged, when and by whom;
// files of older versions do not, and what a planted one says is bounded and escaped.
func TestWhoStagedIt(t *testing.T) {
	t.Parallel()
	dir := copyRepo(t, "consistent")
	add := []string{"add", "--path", dir, "--target", write(t, "orbit", "orbit"), "--name", "orbit", "--platform", "linux", "--version"}
	must(t, append(add, "1.0.0", "--stage-only")...)
	if out := must(t, "review", "--path", dir).stdout; !strings.Contains(out, `pending/ says: by "add" of "`+loginName()+`", `) {
		t.Errorf("the review:\n%s", out)
	}
	if out := must(t, "status", "--path", dir).stdout; !strings.Contains(out, `says: by "add" of "`) {
		t.Errorf("status:\n%s", out)
	}
	if r := hsm(t, nil, append(add, "2.0.0")...); r.code != exitRefused || !strings.Contains(r.stderr, `(says: by "add" of "`) {
		t.Errorf("another command: exit %d\n%s", r.code, r.stderr)
	}
	file := filepath.Join(dir, "pending", "change.json")
	for name, c := range map[string]struct {
		by   any // nil: as an older version wrote it
		code int
		want string
	}{
		"an older file":   {nil, exitOK, "intent"},
		"escapes":         {"\x1b[2J\nkey x gains root", exitOK, `of "\x1b[2J\nkey x`},
		"longer than any": {strings.Repeat("x", 257), exitUnverified, "longer than 256 bytes"},
	} {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var f map[string]any
		if err := json.Unmarshal(data, &f); err != nil {
			t.Fatal(err)
		}
		if c.by == nil {
			delete(f, "stagings")
		} else {
			f["stagings"] = []any{map[string]any{"intent": f["intents"].([]any)[0], "command": "add", "by": c.by}}
		}
		if data, err = json.Marshal(f); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		r := hsm(t, nil, "review", "--path", dir)
		if r.code != c.code || !strings.Contains(r.stdout+r.stderr, c.want) || (c.by == nil) == strings.Contains(r.stdout, "says:") && c.code == exitOK {
			t.Errorf("%s: exit %d\n%s%s", name, r.code, r.stdout, r.stderr)
		}
	}
}
