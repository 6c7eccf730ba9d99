// Package judge lets the client inside Fleet's agents (go-tuf v0.5.2, as the program
// compat/fleetclient) judge what a store serves; for tests.
package judge

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// Get reads a file of the store that is judged.
type Get func(ctx context.Context, name string) ([]byte, error)

// Builder builds the client once, into a folder that the caller removes.
type Builder struct {
	Dir  string
	once sync.Once
	bin  string
	err  error
}

func (b *Builder) build() (string, error) {
	b.once.Do(func() {
		_, here, _, _ := runtime.Caller(0)
		src := filepath.Join(filepath.Dir(here), "..", "..", "compat", "fleetclient")
		b.bin = filepath.Join(b.Dir, "fleetclient")
		out, err := exec.Command("go", "build", "-C", src, "-o", b.bin, ".").CombinedOutput()
		if err != nil {
			b.err = errors.New(string(out))
		}
	})
	return b.bin, b.err
}

// Judge runs Fleet's client against a store.
type Judge struct {
	t    testing.TB
	bin  string
	url  string
	root string // file of the pinned root
}

// New serves a store over HTTP and pins root.
func (b *Builder) New(t testing.TB, get Get, root []byte) *Judge {
	t.Helper()
	bin, err := b.build()
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		data, err := get(r.Context(), strings.TrimPrefix(r.URL.Path, "/"))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			http.NotFound(w, r)
		case err != nil:
			http.Error(w, err.Error(), http.StatusInternalServerError)
		default:
			_, _ = w.Write(data)
		}
	}))
	t.Cleanup(srv.Close)
	file := filepath.Join(t.TempDir(), "root.json")
	if err := os.WriteFile(file, root, 0o600); err != nil {
		t.Fatal(err)
	}
	return &Judge{t: t, bin: bin, url: srv.URL, root: file}
}

// All updates the agent whose state is in dir and checks every target.
func (j *Judge) All(dir string) error {
	out, err := exec.Command(j.bin, "--url", j.url, "--root", j.root, "--state", dir, "all").CombinedOutput()
	if err != nil {
		return errors.New(string(out))
	}
	return nil
}

// PollReport is what the poll command prints.
type PollReport struct {
	Rounds, OK, Failed int
	Errors             map[string]int
}

// Poll lets an agent with a state and, if cold, a new one in each round poll until stop
// is called, in a tight loop or with a pause between two rounds.
func (j *Judge) Poll(cold bool, state string, pause time.Duration) (stop func() PollReport) {
	j.t.Helper()
	until := filepath.Join(j.t.TempDir(), "stop")
	args := []string{"--url", j.url, "--root", j.root, "--state", state, "poll", "--all", "--until-file", until, "--every", pause.String()}
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
	return func() PollReport {
		end()
		var r PollReport
		if err := json.Unmarshal(stdout.Bytes(), &r); err != nil {
			j.t.Fatalf("%v; stdout %q, stderr %q", err, stdout.String(), stderr.String())
		}
		return r
	}
}

// TargetsVersion updates an agent once more and says which targets it ends with.
func (j *Judge) TargetsVersion(agent string) int64 {
	j.t.Helper()
	out, _ := exec.Command(j.bin, "--url", j.url, "--root", j.root, "--state", agent, "update").Output()
	var rep struct{ Targets int64 }
	if err := json.Unmarshal(out, &rep); err != nil {
		j.t.Fatalf("%v: %s", err, out)
	}
	return rep.Targets
}
