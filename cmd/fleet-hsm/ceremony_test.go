//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
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
//	refusing             a server that answers 403 to everything; its address is in $URL
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

// TestStepsInTheDocument: the table of docs/ceremony.md has the figures of the scripts and
// of the lists below it, and ours are at most a third.
func TestStepsInTheDocument(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(filepath.Join("..", "..", "docs", "ceremony.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile(`(?m)^\| ([a-z][^|(]*?) (?:\([^|]*\) )?\| (\d+)[^|]*\| (\d+)[^|]*\|`).FindAllStringSubmatch(string(data), -1)
	scripts := map[string]string{
		"create with 3 root keys": "create", "add a releaser's keys to three roles": "releaser",
		"rotate all root keys": "rotate_root", "remove one holder": "remove",
	}
	seen := 0
	for _, row := range rows {
		script, ok := scripts[row[1]]
		if !ok {
			continue
		}
		seen++
		played, err := os.ReadFile(filepath.Join("testdata", "ceremony", "handbook_"+script+".txtar"))
		if err != nil {
			t.Fatal(err)
		}
		if steps := "\nsteps " + row[3] + " "; !strings.Contains(string(played), steps) {
			t.Errorf("%s: the document says %s steps, and the script counts others", row[1], row[3])
		}
		theirs, ours := number(t, row[2]), number(t, row[3])
		if 3*ours > theirs {
			t.Errorf("%s: %d steps are more than a third of %d", row[1], ours, theirs)
		}
		_, list, ok := strings.Cut(string(data), "<!-- peer: "+row[1]+" -->")
		if !ok {
			continue // the handbook numbers them
		}
		list, _, _ = strings.Cut(list, "\n\n<!--")
		list, _, _ = strings.Cut(list, "\n\n## ")
		if n := len(regexp.MustCompile(`(?m)^\d+\. `).FindAllString(list, -1)); n != theirs {
			t.Errorf("%s: the list has %d steps and the table says %d", row[1], n, theirs)
		}
	}
	if seen != len(scripts) {
		t.Errorf("the table has %d of the %d procedures", seen, len(scripts))
	}
}

func number(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
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
	m["refusing"] = func(ts *testscript.TestScript, _ bool, _ []string) {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))
		ts.Defer(srv.Close)
		ts.Setenv("URL", srv.URL)
	}
	m["reviewed"] = func(ts *testscript.TestScript, _ bool, args []string) {
		ts.Check(ts.Exec("fleet-hsm", append([]string{"review", "--json"}, args...)...))
		var review struct{ Roles []struct{ SHA256 string } }
		ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &review))
		ts.Setenv("HASH", review.Roles[0].SHA256)
		ts.Setenv("HASH2", review.Roles[len(review.Roles)-1].SHA256)
	}
	return m
}
