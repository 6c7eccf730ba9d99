//go:build cgo && linux

package main

import (
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// told is a command as a document or a script writes it.
type told struct {
	where   string
	text    string
	command string // "fleet-hsm rotate"
	flags   []string
}

// words splits a command line as far as documents need it: quotes, and the end of the
// command at an operator of the shell.
func words(line string) []string {
	var out []string
	for _, m := range regexp.MustCompile(`"[^"]*"|'[^']*'|[^\s"']+|["']`).FindAllString(line, -1) {
		switch {
		case m == "|" || m == "&&" || m == "||" || m == ";" || m == "&" || strings.HasPrefix(m, ">") || strings.HasPrefix(m, "2>") || strings.HasPrefix(m, "#") || m == `"` || m == "'":
			return out
		case strings.HasSuffix(m, ";"), strings.HasSuffix(m, ")"):
			return append(out, strings.TrimRight(m, ";)"))
		}
		out = append(out, m)
	}
	return out
}

// understand finds the command and its own flags; global flags say nothing of what is
// run.
func understand(tree *cobra.Command, where, text string) (told, error) {
	c := told{where: where, text: text}
	cmd, rest, err := tree.Find(words(text)[1:])
	if err != nil {
		return c, err
	}
	c.command = cmd.CommandPath()
	if cmd == tree && len(rest) > 0 && !strings.HasPrefix(rest[0], "-") && rest[0] != "COMMAND" {
		return c, fmt.Errorf("no such command")
	}
	cmd.InitDefaultHelpFlag()
	cmd.InitDefaultVersionFlag()
	for _, w := range rest {
		name, _, _ := strings.Cut(w, "=")
		var f *pflag.Flag
		switch {
		case strings.HasPrefix(name, "--") && len(name) > 2:
			f = cmd.Flag(name[2:])
		case strings.HasPrefix(name, "-") && len(name) == 2:
			f = cmd.Flags().ShorthandLookup(name[1:])
		default:
			continue
		}
		if f == nil {
			return c, fmt.Errorf("no flag %s", name)
		}
		if cmd.LocalNonPersistentFlags().Lookup(f.Name) != nil && f.Name != "help" {
			c.flags = append(c.flags, f.Name)
		}
	}
	return c, nil
}

var inline = later("`(fleet-hsm [^`]+)`")

// inDocument gives every command that a document writes in backquotes, and the lines of
// its fences that begin with one.
func inDocument(t *testing.T, file string) (written, run []string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	parts := regexp.MustCompile("(?m)^```.*$").Split(string(data), -1)
	opened := regexp.MustCompile("(?m)^```.*$").FindAllString(string(data), -1)
	for i, part := range parts {
		if i%2 == 0 {
			for _, m := range inline().FindAllStringSubmatch(part, -1) {
				written = append(written, strings.Join(strings.Fields(m[1]), " "))
			}
			continue
		}
		for _, line := range commandLines(part) {
			if opened[i-1] == "```sh" {
				run = append(run, line)
			}
			written = append(written, line)
		}
	}
	return written, run
}

// commandLines gives the calls of fleet-hsm in a shell script, each on one line.
func commandLines(script string) []string {
	script = strings.ReplaceAll(script, "\\\n", " ")
	var out []string
	for line := range strings.Lines(script) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "#") || strings.HasPrefix(line, "stderr ") || strings.HasPrefix(line, "stdout ") || strings.HasPrefix(line, "json ") {
			continue
		}
		for _, at := range regexp.MustCompile(`(^|[\s(/"'])fleet-hsm [a-z-]`).FindAllStringIndex(line, -1) {
			call := line[strings.Index(line[at[0]:], "fleet-hsm")+at[0]:]
			out = append(out, call)
		}
	}
	return out
}

func documents(t *testing.T) []string {
	t.Helper()
	docs, err := filepath.Glob(filepath.Join("..", "..", "docs", "*.md"))
	if err != nil || len(docs) < 10 {
		t.Fatalf("%d documents (%v)", len(docs), err)
	}
	for _, name := range []string{"README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"} {
		docs = append(docs, filepath.Join("..", "..", name))
	}
	return docs
}

// runByTests are the commands that scripts and documents' blocks run.
func runByTests(t *testing.T, tree *cobra.Command) []told {
	t.Helper()
	var all []told
	scripts, err := filepath.Glob(filepath.Join("testdata", "*", "*.txtar"))
	if err != nil || len(scripts) < 30 {
		t.Fatalf("%d scripts (%v)", len(scripts), err)
	}
	add := func(where string, lines []string) {
		for _, line := range lines {
			// Many scripts are wrong on purpose; those count for nothing.
			if c, err := understand(tree, where, line); err == nil {
				all = append(all, c)
			}
		}
	}
	for _, name := range scripts {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		script, _, _ := strings.Cut(string(data), "\n-- ")
		var succeeding []string
		for line := range strings.Lines(script) {
			// Exit 3 is what a ceremony wants.
			if !regexp.MustCompile(`^(exit|tty \S+) [124567] `).MatchString(line) {
				succeeding = append(succeeding, line)
			}
		}
		add(name, commandLines(strings.Join(succeeding, "")))
	}
	for _, name := range documents(t) {
		_, run := inDocument(t, name)
		add(name, run)
	}
	return all
}

// TestDocumentsNameRealCommands: every command that a document names exists with these
// flags, and a script or the document's own test runs it with them.
func TestDocumentsNameRealCommands(t *testing.T) {
	t.Parallel()
	tree := newApp(io.Discard, io.Discard).command()
	run := runByTests(t, tree)
	seen := map[string]bool{}
	for _, name := range documents(t) {
		written, _ := inDocument(t, name)
		for _, text := range written {
			c, err := understand(tree, filepath.Base(name), text)
			if err != nil {
				t.Errorf("%s: `%s`: %v", c.where, text, err)
				continue
			}
			seen[c.command] = true
			if !slices.ContainsFunc(run, c.coveredBy) {
				t.Errorf("%s: no test runs `%s` (%s with %v)", c.where, text, c.command, c.flags)
			}
		}
	}
	if len(seen) < 25 {
		t.Errorf("the documents name only %d commands: %v", len(seen), slices.Sorted(maps.Keys(seen)))
	}
}

func (c told) coveredBy(run told) bool {
	if run.command != c.command {
		return false
	}
	for _, f := range c.flags {
		if !slices.Contains(run.flags, f) {
			return false
		}
	}
	return true
}

// TestEveryCommandIsRun: no command is there that no script runs, and none without a
// document that names it.
func TestEveryCommandIsRun(t *testing.T) {
	t.Parallel()
	tree := newApp(io.Discard, io.Discard).command()
	run := runByTests(t, tree)
	var named []string
	for _, name := range documents(t) {
		written, _ := inDocument(t, name)
		for _, text := range written {
			if c, err := understand(tree, name, text); err == nil {
				named = append(named, c.command)
			}
		}
	}
	walk(tree, func(cmd *cobra.Command) {
		if !cmd.Runnable() || cmd == tree || cmd.HasSubCommands() || cmd.Hidden || strings.HasPrefix(cmd.CommandPath(), "fleet-hsm completion") || cmd.Name() == "help" {
			return
		}
		if !slices.ContainsFunc(run, told{command: cmd.CommandPath()}.coveredBy) {
			t.Errorf("no script runs %s", cmd.CommandPath())
		}
		if !slices.Contains(named, cmd.CommandPath()) {
			t.Errorf("no document names %s", cmd.CommandPath())
		}
	})
}
