package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestCeremony runs testdata/ceremony: many hands, each on a machine of their own (a
// folder), and one file between them. The commands are those of TestScript, and
//
//	counting             begin to count: each later run of fleet-hsm by exit or tty is
//	                     a step, and each carry a trip of a file
//	carry FROM TO        copy a file to another machine, as a person would
//	steps N TRIPS        there were this many
//	keyid VAR URI        the ID of a key, in $VAR
//	reviewed ARG...      run "fleet-hsm review ARG... --json" and keep the hash of the
//	                     first role in $HASH and of the last in $HASH2
func TestCeremony(t *testing.T) {
	t.Parallel()
	bin, err := clients()
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "ceremony"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Vars = append(env.Vars, secretEnv()...)
			env.Setenv("PATH", bin+string(filepath.ListSeparator)+env.Getenv("PATH"))
			env.Values[locksKey{}] = map[string]*os.File{}
			env.Values[countKey{}] = new(count)
			return nil
		},
		Cmds: ceremonyCommands(),
	})
}

type countKey struct{}

type count struct{ steps, trips int }

func ceremonyCommands() map[string]func(*testscript.TestScript, bool, []string) {
	m := scriptCommands()
	counted := func(name string, program int) {
		run := m[name]
		m[name] = func(ts *testscript.TestScript, neg bool, args []string) {
			if len(args) > program && args[program] == "fleet-hsm" {
				ts.Value(countKey{}).(*count).steps++
			}
			run(ts, neg, args)
		}
	}
	counted("exit", 1)
	counted("tty", 2)
	m["counting"] = func(ts *testscript.TestScript, _ bool, _ []string) { *ts.Value(countKey{}).(*count) = count{} }
	m["carry"] = func(ts *testscript.TestScript, _ bool, args []string) {
		need(ts, args, 2, "carry FROM TO")
		ts.Value(countKey{}).(*count).trips++
		ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(ts.ReadFile(args[0])), 0o644))
	}
	m["steps"] = func(ts *testscript.TestScript, _ bool, args []string) {
		need(ts, args, 2, "steps N TRIPS")
		c := ts.Value(countKey{}).(*count)
		if got := fmt.Sprintf("%d %d", c.steps, c.trips); got != args[0]+" "+args[1] {
			ts.Fatalf("steps and trips: %s", got)
		}
	}
	m["keyid"] = func(ts *testscript.TestScript, _ bool, args []string) {
		need(ts, args, 2, "keyid VAR URI")
		ts.Check(ts.Exec("fleet-hsm", "key", "show", "--json", args[1]))
		var shown struct{ KeyID string }
		ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &shown))
		ts.Setenv(args[0], shown.KeyID)
	}
	m["reviewed"] = func(ts *testscript.TestScript, _ bool, args []string) {
		ts.Check(ts.Exec("fleet-hsm", append([]string{"review", "--json"}, args...)...))
		var card struct{ Roles []struct{ SHA256 string } }
		ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &card))
		ts.Setenv("HASH", card.Roles[0].SHA256)
		ts.Setenv("HASH2", card.Roles[len(card.Roles)-1].SHA256)
	}
	return m
}
