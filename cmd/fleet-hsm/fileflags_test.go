//go:build linux

package main

import (
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// TestFilesThatAreNotThere: whatever names a file to read, of any command: where there is
// none, or a folder, the answer is exit 2, names what was given, and says more than where
// the flags are listed.
func TestFilesThatAreNotThere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	check := func(args []string, want string) {
		t.Helper()
		r := inProcess(append(args, "--path", dir)...)
		if r.code != exitUsage || !strings.Contains(r.stderr, want) || strings.Contains(r.stderr, "--help") {
			t.Errorf("%q: exit %d, want %q\n%s", args, r.code, want, r.stderr)
		}
	}
	flags := 0
	walk(newApp(io.Discard, io.Discard).command(), func(cmd *cobra.Command) {
		if cmd.HasSubCommands() {
			return
		}
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if usage := strings.ToLower(f.Usage); (strings.Contains(usage, "root.json") || strings.HasPrefix(usage, "pem ")) && f.Value.Type() != "bool" && !readsFile(f.Name) {
				t.Errorf("%s: --%s reads like a file that is read: %s", cmd.CommandPath(), f.Name, f.Usage)
			}
			if !readsFile(f.Name) {
				return
			}
			flags++
			args := append(slices.Clone(strings.Fields(cmd.CommandPath())[1:]), "--"+f.Name)
			check(append(args, "nothere"), "--"+f.Name+` "nothere": no such file or directory`)
			check(append(args, filepath.Join(dir, "no", "file")), "there is no folder")
			if r := inProcess(append(args, dir)...); r.code != exitUsage || !strings.Contains(r.stderr, "it is a folder") {
				t.Errorf("%q: a folder: exit %d\n%s", args, r.code, r.stderr)
			}
		})
	})
	if flags < 20 {
		t.Errorf("only %d flags were tried", flags)
	}
	for _, args := range [][]string{{"review"}, {"sign"}, {"transcript", "verify"}} {
		check(append(args, "nothere"), `"nothere": no such file or directory`)
	}
	for _, args := range [][]string{{"status"}, {"commit"}, {"doctor"}, {"migrate"}, {"gc"}, {"roots"}} {
		if r := inProcess(append(args, "--path", "nothere")...); r.code != exitUsage || !strings.Contains(r.stderr, `--path "nothere": no such file or directory`) || !strings.Contains(r.stderr, "fleet-hsm init") {
			t.Errorf("%q: exit %d\n%s", args, r.code, r.stderr)
		}
	}
}
