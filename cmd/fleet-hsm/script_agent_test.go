//go:build linux

package main

import (
	"bytes"
	"fmt"
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

// cmdEverybody: see everybodyFollows; the agents of a folder stay for the next time.
func cmdEverybody(ts *testscript.TestScript, args []string) {
	need(ts, args, 1, "everybody DIR")
	ts.Check(everybodyFollows(ts.MkAbs(args[0]), ts.MkAbs(filepath.Join(".agents", "of", args[0]))))
}

// everybodyFollows lets Fleet's client look at a repository in its three roles: one that saw
// the first history, one that is pinned to the oldest root, and a fresh one. They live in
// agents, where the first of them is found again.
func everybodyFollows(dir, agents string) error {
	if err := os.MkdirAll(agents, 0o755); err != nil {
		return err
	}
	for _, role := range []struct{ name, state, root string }{
		{"saw the first history", filepath.Join(agents, "saw"), "1.root.json"},
		{"pinned to the oldest root", "", "1.root.json"},
		{"fresh", "", "root.json"},
	} {
		if role.state == "" {
			alone, err := os.MkdirTemp(agents, "new-")
			if err != nil {
				return err
			}
			role.state = filepath.Join(alone, "state")
		}
		if _, stderr, err := followFrom("fleetclient", dir, role.state, role.root); err != nil {
			return fmt.Errorf("the agent that is %s refuses: %w\n%s", role.name, err, stderr)
		}
	}
	return nil
}

func cmdServeFolder(ts *testscript.TestScript, args []string) {
	need(ts, args, 1, "serve DIR")
	srv := httptest.NewServer(http.FileServer(http.Dir(ts.MkAbs(filepath.Join(args[0], "repository")))))
	ts.Defer(srv.Close)
	ts.Setenv("URL", srv.URL)
}
