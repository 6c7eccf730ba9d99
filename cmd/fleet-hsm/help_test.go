//go:build linux

package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestHelp walks the tree: every command that does something says what it is for and
// has two examples of real use, whose flags exist.
func TestHelp(t *testing.T) {
	t.Parallel()
	root := newApp(io.Discard, io.Discard).command()
	n := 0
	walk(root, func(cmd *cobra.Command) {
		if cmd == root || cmd.HasSubCommands() {
			return
		}
		n++
		path := cmd.CommandPath()
		if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") {
			t.Errorf("%s: %q is no headline", path, cmd.Short)
		}
		examples := 0
		for line := range strings.Lines(cmd.Example) {
			_, after, found := strings.Cut(line, path)
			if !found {
				continue
			}
			examples++
			after, _, _ = strings.Cut(after, " #")
			if i := strings.IndexAny(after, "|)"); i >= 0 {
				after = after[:i]
			}
			for _, word := range strings.Fields(after) {
				name, isFlag := strings.CutPrefix(word, "--")
				name, _, _ = strings.Cut(name, "=")
				name = strings.Trim(name, `")`)
				if isFlag && name != "" && cmd.Flags().Lookup(name) == nil && cmd.InheritedFlags().Lookup(name) == nil {
					t.Errorf("%s: its example uses --%s, which is no flag of it", path, name)
				}
			}
		}
		if examples < 2 {
			t.Errorf("%s: %d examples, not two", path, examples)
		}
	})
	if n < 20 {
		t.Errorf("only %d commands were found", n)
	}
}

// TestMan: a page for each command, the same bytes twice.
func TestMan(t *testing.T) {
	t.Parallel()
	page := func() string {
		dir := t.TempDir()
		r := hsm(t, []string{"SOURCE_DATE_EPOCH=1700000000"}, "man", dir)
		if r.code != 0 {
			t.Fatal(r.stderr)
		}
		tree, err := treeOf(dir)
		if err != nil {
			t.Fatal(err)
		}
		return tree
	}
	one, two := page(), page()
	if one != two {
		t.Error("two runs wrote different pages")
	}
	for _, name := range []string{"fleet-hsm.1", "fleet-hsm-promote.1", "fleet-hsm-key-generate.1"} {
		if !strings.Contains(one, name+" ") {
			t.Errorf("no page %s", name)
		}
	}
}

// TestCompletion asks as a shell does.
func TestCompletion(t *testing.T) {
	t.Parallel()
	dir := copyRepo(t, "consistent")
	file := write(t, "orbit", "one")
	must(t, "add", "--path", dir, "--target", file, "--name", "orbit", "--platform", "linux", "--version", "1.2.3", "-t", "edge")
	before, err := treeOf(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		words string
		want  []string
	}{
		{"rotate --path DIR |", []string{"root", "targets", "snapshot", "timestamp"}},
		{"promote --path DIR --from |e", []string{"edge"}},
		{"promote --path DIR --from edge |", []string{"1.2.3"}},
		{"list --path DIR --channel |", []string{"edge", "1.2.3"}},
		{"list --path DIR --platform |win", []string{"windows", "windows-arm64"}},
		{"remove --path DIR |orbit/", []string{"orbit/linux/edge/orbit"}},
		{"rotate --path DIR root --key |file:", []string{"file:keys/root.json"}},
		{"rotate --path DIR root --algorithm |", []string{"p256"}},
		{"add --path DIR --no-lint |arch", []string{"architecture", "archive-empty"}},
		{"promote --path /nonexistent --from |", nil},
		{"key |", []string{"attest", "generate"}},
	} {
		words, typed, _ := strings.Cut(strings.ReplaceAll(c.words, "DIR", dir), "|")
		out, err := exec.Command("fleet-hsm", append(append([]string{"__complete"}, strings.Fields(words)...), typed)...).Output()
		if err != nil {
			t.Errorf("%s: %v", c.words, err)
		}
		for _, want := range c.want {
			if !strings.Contains("\n"+string(out), "\n"+want) {
				t.Errorf("%s: no %q in\n%s", c.words, want, out)
			}
		}
	}
	id := strings.Fields(must(t, "key", "list", "--path", dir).stdout)[1]
	out, err := exec.Command("fleet-hsm", "__complete", "rotate", "--path", dir, "root", "--remove", id[:4]).Output()
	if err != nil || !strings.Contains(string(out), id) {
		t.Errorf("key IDs are not completed: %v\n%s", err, out)
	}
	if after, err := treeOf(dir); err != nil || after != before {
		t.Errorf("completion wrote something: %v\n%s", err, difference(before, after))
	}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		r := must(t, "completion", shell)
		script := filepath.Join(t.TempDir(), shell)
		if err := os.WriteFile(script, []byte(r.stdout), 0o600); err != nil {
			t.Fatal(err)
		}
		if shell == "bash" {
			if out, err := exec.Command("bash", "-n", script).CombinedOutput(); err != nil {
				t.Errorf("bash: %v\n%s", err, out)
			}
		}
	}
}
