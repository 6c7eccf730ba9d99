package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// fleetclient is the client inside Fleet's agents (go-tuf v0.5.2), built once.
var fleetclient = sync.OnceValues(func() (string, error) {
	bin := filepath.Join(scratch, "fleetclient")
	out, err := exec.Command("go", "build", "-C", "../compat/fleetclient", "-o", bin, ".").CombinedOutput()
	if err != nil {
		return "", errors.New(string(out))
	}
	return bin, nil
})

// judge runs Fleet's client against a store.
type judge struct {
	t    testing.TB
	bin  string
	url  string
	root string // file of the pinned root
}

// newJudge serves s over HTTP and pins root.
func newJudge(t testing.TB, s Store, root []byte) *judge {
	t.Helper()
	bin, err := fleetclient()
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o, err := Get(r.Context(), s, strings.TrimPrefix(r.URL.Path, "/"), 1<<30)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			http.NotFound(w, r)
		case err != nil:
			http.Error(w, err.Error(), http.StatusInternalServerError)
		default:
			_, _ = w.Write(o.Data)
		}
	}))
	t.Cleanup(srv.Close)
	file := filepath.Join(t.TempDir(), "root.json")
	if err := os.WriteFile(file, root, 0o600); err != nil {
		t.Fatal(err)
	}
	return &judge{t: t, bin: bin, url: srv.URL, root: file}
}

// all updates the agent whose state is in dir and checks every target.
func (j *judge) all(dir string) error {
	out, err := exec.Command(j.bin, "--url", j.url, "--root", j.root, "--state", dir, "all").CombinedOutput()
	if err != nil {
		return errors.New(string(out))
	}
	return nil
}

// pollReport is what the poll command prints.
type pollReport struct {
	Rounds, OK, Failed int
	Errors             map[string]int
}

// poll lets an agent with a state and, if cold, a new one in each round poll in a
// tight loop until stop is called.
func (j *judge) poll(cold bool, state string) (stop func() pollReport) {
	j.t.Helper()
	until := filepath.Join(j.t.TempDir(), "stop")
	args := []string{"--url", j.url, "--root", j.root, "--state", state, "poll", "--all", "--until-file", until}
	if cold {
		args = append(args, "--cold")
	}
	cmd := exec.Command(j.bin, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		j.t.Fatal(err)
	}
	var once sync.Once
	end := func() {
		once.Do(func() {
			if err := os.WriteFile(until, nil, 0o600); err != nil {
				_ = cmd.Process.Kill()
			}
			_ = cmd.Wait()
		})
	}
	j.t.Cleanup(end)
	return func() pollReport {
		end()
		var r pollReport
		if err := json.Unmarshal(stdout.Bytes(), &r); err != nil {
			j.t.Fatalf("%v; stdout %q, stderr %q", err, stdout.String(), stderr.String())
		}
		return r
	}
}
