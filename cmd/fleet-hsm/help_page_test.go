//go:build linux

package main

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// TestHelpPages: no page of help is wider than 80 columns, a flag that every command has
// stands on one page alone, and examples stay what can be pasted.
func TestHelpPages(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	a := newApp(&out, io.Discard)
	root := a.command()
	pages := 0
	walk(root, func(cmd *cobra.Command) {
		out.Reset()
		a.help(cmd)
		pages++
		for line := range strings.Lines(out.String()) {
			if line = strings.TrimSuffix(line, "\n"); len(line) > helpWidth || strings.TrimRight(line, " ") != line {
				t.Errorf("%s: %d columns: %q", cmd.CommandPath(), len(line), line)
			}
		}
		page := strings.Join(strings.Fields(strings.ReplaceAll(out.String(), "\\\n", " ")), " ")
		for line := range strings.Lines(strings.ReplaceAll(cmd.Example, "\\\n", " ")) {
			line, _, _ = strings.Cut(line, " # ")
			if line = strings.Join(strings.Fields(line), " "); !strings.Contains(page, line) {
				t.Errorf("%s: its page does not have the example %q", cmd.CommandPath(), line)
			}
		}
		if text := strings.Join(strings.Fields(cmd.Long), " "); !strings.Contains(page, text) {
			t.Errorf("%s: its page does not have its whole text", cmd.CommandPath())
		}
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if f.Name != "help" && !f.Hidden && !strings.Contains(page, "--"+f.Name+" ") {
				t.Errorf("%s: its page does not have --%s", cmd.CommandPath(), f.Name)
			}
		})
		if cmd.HasParent() && strings.Contains(out.String(), "\n      --lock-timeout") {
			t.Errorf("%s: repeats the flags of every command", cmd.CommandPath())
		}
	})
	if pages < 35 {
		t.Errorf("%d pages", pages)
	}
}

// TestGroups: each command is in one group, and each name in a group is a command.
func TestGroups(t *testing.T) {
	t.Parallel()
	root := newApp(io.Discard, io.Discard).command()
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	in := map[string]int{}
	for _, g := range groups() {
		for _, name := range g.names {
			in[name]++
		}
	}
	if n := len(groups()[0].names); n != 5 {
		t.Errorf("%d commands come first", n)
	}
	for _, c := range root.Commands() {
		if !c.Hidden && in[c.Name()] != 1 {
			t.Errorf("%s is in %d groups", c.Name(), in[c.Name()])
		}
	}
}
