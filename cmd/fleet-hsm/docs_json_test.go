//go:build cgo && linux

package main

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/softhsm"
)

// shape is what docs/json.md says of one value: type by path.
type shape map[string]string

var fieldRow = later("^\\| `([^`]+)` \\| ([a-z]+\\??) \\|")

// shapes reads the tables of docs/json.md by the heading that they stand under.
func shapes(t *testing.T) map[string]shape {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "docs", "json.md"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]shape{}
	title := ""
	for line := range strings.Lines(string(data)) {
		if h, ok := strings.CutPrefix(line, "## "); ok {
			title = strings.TrimSpace(h)
		}
		if m := fieldRow().FindStringSubmatch(line); m != nil {
			if out[title] == nil {
				out[title] = shape{}
			}
			out[title][m[1]] = m[2]
		}
	}
	return out
}

// flat lists the fields of a JSON value with their types; a list's elements share one
// path.
func flat(v any, at string, out map[string]string) {
	switch v := v.(type) {
	case map[string]any:
		out[at] = "object"
		for name, e := range v {
			flat(e, strings.TrimPrefix(at+"."+name, "."), out)
		}
	case []any:
		for _, e := range v {
			flat(e, at+"[]", out)
		}
	case string:
		out[at] = "string"
		if _, err := time.Parse(time.RFC3339Nano, v); err == nil {
			out[at] = "time"
		}
	case float64:
		out[at] = "number"
	case bool:
		out[at] = "bool"
	case nil:
		out[at] = "null"
	}
}

// differences compares a value with its table.
func (s shape) differences(text string) []string {
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		return []string{"not one JSON value: " + err.Error()}
	}
	have := map[string]string{}
	flat(v, "", have)
	var out []string
	for _, path := range slices.Sorted(maps.Keys(have)) {
		if kind := have[path]; !s.knows(path, kind) {
			out = append(out, "not documented: "+path+" ("+kind+")")
		}
	}
	for path, kind := range s {
		parent := path[:max(strings.LastIndex(path, "."), 0)]
		_, there := have[path]
		if !strings.HasSuffix(kind, "?") && have[parent] == "object" && !there && !strings.HasSuffix(path, "]") && !strings.Contains(path, "<") {
			out = append(out, "documented and absent: "+path)
		}
	}
	return out
}

func (s shape) knows(path, kind string) bool {
	if documented, ok := s[path]; ok {
		want := strings.TrimSuffix(documented, "?")
		return want == kind || kind == "null"
	}
	for p, t := range s {
		if strings.TrimSuffix(t, "?") == "object" && strings.HasPrefix(path, p) {
			return true // described elsewhere
		}
		if before, _, ok := strings.Cut(p, "<"); ok && strings.HasPrefix(path, before) && strings.TrimSuffix(t, "?") == kind {
			return true
		}
		if (kind == "object" || kind == "null") && (strings.HasPrefix(p, path+".") || strings.HasPrefix(p, path+"[]") || path == "") {
			return true
		}
	}
	return false
}

// TestJSONShapes runs every command that has a table in docs/json.md and compares
// what it prints, field by field.
func TestJSONShapes(t *testing.T) {
	t.Parallel()
	docs := shapes(t)
	seen := map[string]bool{}
	dir := filepath.Join(t.TempDir(), "r")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	tok, err := softhsm.Make(t.TempDir(), softhsm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	env := []string{tok.Env()}
	check := func(title string, code int, args ...string) string {
		t.Helper()
		seen[title] = true
		r := hsm(t, env, append(args, "--path", dir, "--json")...)
		text := r.stdout
		if title == "An error" {
			text = r.stderr
		}
		if r.code != code {
			t.Fatalf("%q: exit %d, not %d\n%s", args, r.code, code, r.stderr)
		}
		for _, d := range docs[title].differences(text) {
			t.Errorf("%q (%s): %s\n%s", args, title, d, text)
		}
		return text
	}
	const publishes = "A command that publishes"
	file, other := write(t, "orbit", "one"), write(t, "orbit", "two")
	check(publishes, 0, "init")
	check(publishes, 0, "add", "--target", file, "--name", "orbit", "--platform", "linux", "--version", "1", "-t", "edge")
	check(publishes, 0, "timestamp", "--within", "1d")
	served := "file://" + filepath.Join(t.TempDir(), "served")
	check("publish", 0, "publish", served, "--dry-run")
	check("publish", 0, "publish", served)
	check("timestamp --store", 0, "timestamp", "--store", served)
	check("timestamp --store", 0, "timestamp", "--store", served, "--within", "1d")
	check("pull", 0, "pull", served)
	pinned := filepath.Join(dir, "repository", "1.root.json")
	check("watch --once", 0, "watch", "--once", served, "--root", pinned, "--state", filepath.Join(t.TempDir(), "state"))
	check("watch --once", 1, "watch", "--once", "http://127.0.0.1:1", "--root", pinned, "--state", filepath.Join(t.TempDir(), "state"))
	check("promote", 0, "promote", "1", "--from", "edge", "--to", "stable")
	check("promote", 0, "promote", "1", "--from", "edge", "--to", "stable")
	check("publish", 0, "publish", served)
	check("publish", 0, "publish", served)
	check("version", 0, "version")
	check("A dry run", 0, "add", "--target", other, "--name", "orbit", "--platform", "linux", "--version", "9", "--dry-run")
	check("A dry run", 0, "timestamp", "--dry-run")
	check("list", 0, "list")
	check("list --history", 0, "list", "--history")
	check("remove", 0, "remove", "--channel", "1")
	check("remove", 0, "remove", "--channel", "1")
	check("gc", 0, "gc", "--grace", "0", "--dry-run")
	check(publishes, 0, "add", "--target", other, "--name", "orbit", "--platform", "linux", "--version", "2", "-t", "edge", "--stage-only")
	check("review", 0, "review")
	check("remove", 0, "remove", "--channel", "stable", "--stage-only")
	check(publishes, 0, "rotate", "targets", "--stage-only")
	check("review", 0, "review")
	check("status", 0, "status")
	check("rotate --plan", 0, "rotate", "snapshot", "--plan")
	request, log := filepath.Join(t.TempDir(), "change.request"), filepath.Join(t.TempDir(), "log")
	check("request, sign FILE, attach", 0, "request", "-o", request)
	check(publishes, 0, "timestamp", "--transcript", log, "--note", "a note")
	check("transcript verify", 0, "transcript", "verify", log)
	check(publishes, 0, "discard")
	check("status", 6, "status", "--fail-within", "30d")
	check("An error", 6, "status", "--fail-within", "30d")
	check("An error", 2, "add")
	check("migrate", 0, "migrate")
	check("verify", 0, "verify", "--all-targets")
	check("verify", 4, "verify", "--at", "+4000d")
	check("key list", 0, "key", "list")
	check("key list", 0, "key", "list", "file:keys/root.json")
	check("key show", 0, "key", "show", "file:keys/root.json")
	check("doctor", 0, "doctor")
	check("doctor --without", 0, "doctor", "--without", "file:keys/targets.json")
	check("doctor --without", 0, "doctor", "--without", "file:keys/timestamp.json", "--try")
	check("doctor --report", 0, "doctor", "--report", "pkcs11:", "--pkcs11-module", tok.Module)
	check("token list", 0, "token", "list", "--pkcs11-module", tok.Module)
	osquery := write(t, "osqueryd", "three")
	check(publishes, 0, "add", "--target", osquery, "--name", "osqueryd", "--platform", "linux", "--version", "3")
	check(publishes, 0, "add", "--target", other, "--name", "orbit", "--platform", "linux", "--version", "2")
	deb := filepath.Join(t.TempDir(), "agent.deb")
	check("package", 0, "package", "--type", "deb", "--update-url", "https://updates.example.com", "--offline",
		"--orbit-channel", "2", "--osqueryd-channel", "3", "--outfile", deb)
	check("package inspect", 0, "package", "inspect", deb)
	check("package inspect", 0, "package", "inspect", "--offline", deb)
	for _, v := range []string{"4", "5"} {
		check(publishes, 0, "add", "--target", other, "--name", "orbit", "--platform", "linux", "--version", v)
	}
	check("archive", 0, "archive", "--keep", "1", "--plan")
	check("archive", 0, "archive", "--keep", "2", "--stage-only")
	check("review", 0, "review")
	check(publishes, 0, "discard")
	check("archive", 0, "archive", "--keep", "1")
	check("status", 0, "status")
	check("list", 0, "list", "--archived")
	check("prune", 0, "prune", "--keep", "2", "--dry-run")
	check("prune", 0, "prune", "--keep", "2")
	check("archive", 0, "archive", "--undo")
	for title := range docs {
		if !seen[title] {
			t.Errorf("docs/json.md: no command was run for %q", title)
		}
	}
}
