//go:build linux

package main

import (
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/fleet-hsm/fleet-hsm/internal/misuse"
)

// TestNothingIsNotAbsent gives every flag of every command the values that the code
// takes for "not given", and every command an empty argument: each is refused before
// the command begins, by name, unless the flag says what it means.
func TestNothingIsNotAbsent(t *testing.T) {
	t.Parallel()
	nothing := map[string][]string{
		"string": {""}, "stringArray": {""}, "int": {"0", "-1"}, "duration": {"0", "-1h"}, "bool": nil,
		"[role=]duration": {"", "-1h", "root=", "root=-1h"}, // 0 is now
	}
	meant := map[string]bool{}
	flags := 0
	walk(newApp(io.Discard, io.Discard).command(), func(cmd *cobra.Command) {
		if cmd.HasSubCommands() {
			return
		}
		path := strings.Fields(cmd.CommandPath())[1:]
		refused(t, append(slices.Clone(path), ""), "argument is empty")
		each := func(f *pflag.Flag) {
			values, known := nothing[f.Value.Type()]
			if !known {
				t.Errorf("%s: --%s has the type %q; teach checkGiven what nothing is there", cmd.CommandPath(), f.Name, f.Value.Type())
			}
			_, means := f.Annotations[nothingMeans]
			if means {
				meant[f.Name] = true
			}
			for _, v := range values {
				flags++
				if means && (v == "" || v == "0") {
					continue // what it means is the command's business
				}
				refused(t, append(slices.Clone(path), "--"+f.Name+"="+v), "--"+f.Name)
			}
		}
		cmd.LocalFlags().VisitAll(each)
		cmd.InheritedFlags().VisitAll(each)
	})
	if flags < 300 {
		t.Errorf("only %d values were tried", flags)
	}
	want := []string{"grace", "listen", "lock-timeout", "note", "older-than", "within"}
	if got := slices.Sorted(maps.Keys(meant)); !slices.Equal(got, want) {
		t.Errorf("0 or \"\" means something to %v, and this test knows of %v", got, want)
	}
}

// refused runs a command line in this process; it ends before the command begins.
func refused(t *testing.T, args []string, names string) {
	t.Helper()
	cmd := newApp(io.Discard, io.Discard).command()
	cmd.SetArgs(args)
	walk(cmd, func(c *cobra.Command) {
		if c.RunE != nil {
			c.RunE = func(*cobra.Command, []string) error { return errors.New("it began") }
		}
	})
	err := cmd.Execute()
	if !as[*misuse.Error](err) || !strings.Contains(err.Error(), names) {
		t.Errorf("%q: %v", args, err)
	}
}
