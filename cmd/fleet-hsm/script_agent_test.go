//go:build linux

package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/rogpeppe/go-internal/testscript"
)

// follow lets the agent whose state is in a folder poll a repository and check every
// target. A new agent is pinned to the oldest root.
func follow(repository, state string) (stdout, stderr string, err error) {
	return followWith("fleetclient", repository, state)
}

// followWith is follow for the client of any of the programs in compat/, which checks
// targets that are named too: they may lie in other roles.
func followWith(client, repository, state string, targets ...string) (stdout, stderr string, err error) {
	return followFrom(client, repository, state, "1.root.json", targets...)
}

// followFrom is followWith for an agent that was packaged with another root.
func followFrom(client, repository, state, root string, targets ...string) (stdout, stderr string, err error) {
	bin, err := clients()
	if err != nil {
		return "", "", err
	}
	srv := httptest.NewServer(http.FileServer(http.Dir(filepath.Join(repository, "repository"))))
	defer srv.Close()
	cmd := exec.Command(filepath.Join(bin, client), append([]string{"--url", srv.URL, "--state", state,
		"--root", filepath.Join(repository, "repository", root), "all"}, targets...)...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err = cmd.Run()
	return out.String(), errOut.String(), err
}

func cmdAgent(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, args, 2, "agent NAME DIR")
	stdout, stderr, err := follow(ts.MkAbs(args[1]), ts.MkAbs(filepath.Join(".agents", args[0])))
	_, _ = ts.Stdout().Write([]byte(stdout))
	_, _ = ts.Stderr().Write([]byte(stderr))
	if neg && err == nil {
		ts.Fatalf("the agent accepts it")
	}
	if !neg && err != nil {
		ts.Fatalf("the agent refuses: %v\n%s", err, stderr)
	}
}

// cmdEverybody lets Fleet's client look at a repository in its three roles: one that saw
// its first history, one that is new and pinned to the oldest root, and a fresh one.
func cmdEverybody(ts *testscript.TestScript, args []string) {
	need(ts, args, 1, "everybody DIR")
	agents := ts.MkAbs(filepath.Join(".agents", "of", args[0]))
	ts.Check(os.MkdirAll(agents, 0o755))
	for _, role := range []struct{ name, state, root string }{
		{"saw the first history", filepath.Join(agents, "saw"), "1.root.json"},
		{"pinned to the oldest root", "", "1.root.json"},
		{"fresh", "", "root.json"},
	} {
		if role.state == "" {
			dir, err := os.MkdirTemp(agents, "new-")
			ts.Check(err)
			role.state = filepath.Join(dir, "state")
		}
		if _, stderr, err := followFrom("fleetclient", ts.MkAbs(args[0]), role.state, role.root); err != nil {
			ts.Fatalf("the agent that is %s refuses: %v\n%s", role.name, err, stderr)
		}
	}
}

func cmdServeFolder(ts *testscript.TestScript, args []string) {
	need(ts, args, 1, "serve DIR")
	srv := httptest.NewServer(http.FileServer(http.Dir(ts.MkAbs(filepath.Join(args[0], "repository")))))
	ts.Defer(srv.Close)
	ts.Setenv("URL", srv.URL)
}
