//go:build linux

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// forge is a request taken apart. Metadata files stay objects, so that a forger's
// change of one field is one line here.
type forge struct {
	t   *testing.T
	top map[string]any
}

func (f forge) at(path ...any) any {
	var v any = f.top
	for _, step := range path {
		switch s := step.(type) {
		case string:
			v = v.(map[string]any)[s]
		case int:
			v = v.([]any)[s]
		}
	}
	return v
}

func (f forge) object(path ...any) map[string]any { return f.at(path...).(map[string]any) }

// first gives the first name of an object, in no order.
func first(m map[string]any) string {
	for name := range m {
		return name
	}
	return ""
}

// TestForgedRequests: what a hostile staging machine, or whoever carries the stick,
// may do to a request. Each is refused by review, sign and attach with a reason and
// exit code 4, without a terminal and before any secret is asked for: the key file
// has a passphrase, and none is in the environment.
func TestForgedRequests(t *testing.T) {
	t.Parallel()
	dir := copyRepo(t, "consistent")
	stranger := copyRepo(t, "flat")
	extra := filepath.Join(t.TempDir(), "extra.json")
	if err := makeKeyFile("ed25519", extra, "targets"); err != nil {
		t.Fatal(err)
	}
	must(t, "rotate", "targets", "--path", dir, "--stage-only", "--add", "file:"+extra, "--threshold", "2")
	must(t, "add", "--path", dir, "--stage-only", "--target", write(t, "orbit", "x"), "--name", "orbit", "--platform", "linux", "--version", "1")
	must(t, "rotate", "timestamp", "--path", stranger, "--stage-only")
	genuine := filepath.Join(t.TempDir(), "genuine.request")
	foreign := filepath.Join(t.TempDir(), "foreign.request")
	must(t, "request", "--path", dir, "-o", genuine)
	must(t, "request", "--path", stranger, "-o", foreign)
	pinned := filepath.Join(dir, "repository", "1.root.json")
	other := read(t, foreign).top

	for _, tt := range []struct {
		name, reason string
		alter        func(f forge)
	}{
		{"swapped key", "what it says of itself is not what it asks", func(f forge) {
			id := first(other["root"].(map[string]any)["signed"].(map[string]any)["keys"].(map[string]any))
			keys := f.object("root", "signed", "keys")
			keys[id] = other["root"].(map[string]any)["signed"].(map[string]any)["keys"].(map[string]any)[id]
			f.object("root", "signed", "roles", "snapshot")["keyids"] = []any{id}
		}},
		{"key under another's ID", "what it says of itself is not what it asks", func(f forge) {
			id := f.at("root", "signed", "roles", "targets", "keyids", 0).(string)
			theirs := other["root"].(map[string]any)["signed"].(map[string]any)["keys"].(map[string]any)
			f.object("root", "signed", "keys")[id] = theirs[first(theirs)]
		}},
		{"lowered threshold", "what it says of itself is not what it asks", func(f forge) {
			f.object("root", "signed", "roles", "targets")["threshold"] = json.Number("1")
		}},
		{"altered root in the chain", "of 1 signatures verify", func(f forge) {
			f.object("roots", 0, "signed")["expires"] = "2099-01-01T00:00:00Z"
		}},
		{"threshold of nobody", "threshold 0", func(f forge) {
			f.object("root", "signed", "roles", "root")["threshold"] = json.Number("0")
		}},
		{"threshold above the keys", "threshold 2 and 1 different keys", func(f forge) {
			f.object("root", "signed", "roles", "root")["threshold"] = json.Number("2")
		}},
		{"extra target", "what it says of itself is not what it asks", func(f forge) {
			targets := f.object("targets", "signed", "targets")
			targets["orbit/linux/stable/orbit"] = targets[first(targets)]
		}},
		{"older version", "staged targets is v1, and v1 is published", func(f forge) {
			f.object("targets", "signed")["version"] = json.Number("1")
		}},
		{"version far ahead", "staged root is v2147483647, not v2", func(f forge) {
			f.object("root", "signed")["version"] = json.Number("2147483647")
		}},
		{"other repository", "it is of another repository", func(f forge) {
			for name := range f.top {
				delete(f.top, name)
			}
			for name, v := range other {
				f.top[name] = v
			}
		}},
		{"expired", "expired", func(f forge) {
			f.object("root", "signed")["expires"] = "2020-01-01T00:00:00Z"
		}},
		{"duplicate key", "one public key twice", func(f forge) {
			keys := f.object("root", "signed", "keys")
			role := f.object("root", "signed", "roles", "snapshot")
			id := f.at("root", "signed", "roles", "snapshot", "keyids", 0).(string)
			keys[strings.Repeat("a", 64)] = keys[id]
			role["keyids"] = []any{id, strings.Repeat("a", 64)}
		}},
		{"wrong role", `_type is "targets", not root`, func(f forge) { f.top["root"] = f.top["targets"] }},
		{"gap in the chain", "is followed by", func(f forge) {
			f.top["roots"] = []any{f.at("roots", 0), f.at("roots", 0)}
		}},
		{"no published targets", "not the published ones", func(f forge) { delete(f.top, "published_targets") }},
		{"payload differs from its description", "what it says of itself is not what it asks", func(f forge) {
			f.object("targets", "signed")["expires"] = "2098-01-01T00:00:00Z"
		}},
		{"description differs from the payload", "what it says of itself is not what it asks", func(f forge) {
			f.object("description", 1)["added"] = []any{}
		}},
		{"unknown field", `unknown field "module"`, func(f forge) { f.top["module"] = "/tmp/evil.so" }},
		{"field in capitals", `unknown field "ROOT"`, func(f forge) { f.top["ROOT"] = f.top["root"] }},
		{"hint that paints the terminal", "holds the character U+001B", func(f forge) {
			f.top["intents"] = []any{"\x1b[2Jnothing happens"}
		}},
		{"later format", "newer fleet-hsm", func(f forge) { f.top["fleet_hsm_request"] = json.Number("2") }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := read(t, genuine)
			f.t = t
			tt.alter(f)
			data, err := json.Marshal(f.top)
			if err != nil {
				t.Fatal(err)
			}
			refuses(t, dir, pinned, data, tt.reason)
		})
	}
	whole, err := os.ReadFile(genuine)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("trailing bytes", func(t *testing.T) {
		refuses(t, dir, pinned, append(whole[:len(whole):len(whole)], "{}"...), "behind the object")
	})
	t.Run("truncated", func(t *testing.T) { refuses(t, dir, pinned, whole[:len(whole)/2], "not strict JSON") })
	t.Run("field twice", func(t *testing.T) {
		refuses(t, dir, pinned, []byte(strings.Replace(string(whole), `"roots":`, `"roots":[],"roots":`, 1)), `"roots" stands twice`)
	})
	t.Run("role twice", func(t *testing.T) {
		refuses(t, dir, pinned, []byte(strings.Replace(string(whole), `"_type":"root"`, `"_type":"targets","_type":"root"`, 1)), `"_type" stands twice`)
	})
}

func read(t *testing.T, file string) forge {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(strings.NewReader(string(b)))
	dec.UseNumber()
	f := forge{t: t}
	if err := dec.Decode(&f.top); err != nil {
		t.Fatal(err)
	}
	return f
}

// refuses gives a forged request to each command that reads one. Without passphrases
// in the environment or a terminal a command that went as far as the key would end
// with exit code 5, and one that only missed the confirmation with 2.
func refuses(t *testing.T, dir, pinned string, data []byte, reason string) {
	t.Helper()
	file := write(t, "forged.request", string(data))
	before, err := treeOf(dir)
	if err != nil {
		t.Fatal(err)
	}
	keys := filepath.Join(dir, "keys", "root.json")
	for _, args := range [][]string{
		{"review", file, "--root", pinned},
		{"sign", file, "--root", pinned, "--reviewed", "00000000", "--key", "file:" + keys},
		{"attach", file, "--path", dir},
	} {
		r := hsm(t, []string{"FLEET_ROOT_PASSPHRASE=", "FLEET_TARGETS_PASSPHRASE="}, args...)
		if r.code != exitUnverified || !strings.Contains(r.stderr, reason) {
			t.Errorf("%s: exit %d, want %d and %q\n%s", args[0], r.code, exitUnverified, reason, r.stderr)
		}
	}
	if after, err := treeOf(dir); err != nil || after != before {
		t.Errorf("the repository was changed: %v\n%s", err, difference(before, after))
	}
	if now, err := os.ReadFile(file); err != nil || string(now) != string(data) {
		t.Errorf("the forged request was written to: %v", err)
	}
}
