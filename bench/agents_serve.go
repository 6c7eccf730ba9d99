package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"time"
)

// meter is a web server that counts what it sends, as it is and as it would be compressed.
// It compresses what it sends, as the agent asks for.
type meter struct {
	web         string
	bytes, gzip atomic.Int64
}

func (m *meter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	data, err := os.ReadFile(filepath.Join(m.web, filepath.Clean(r.URL.Path)))
	if err != nil {
		http.NotFound(w, r)
		return
	}
	packed, err := pack(data)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	m.bytes.Add(int64(len(data)))
	m.gzip.Add(int64(len(packed)))
	w.Header().Set("Content-Encoding", "gzip")
	_, _ = w.Write(packed) // an agent that has gone away says so itself
}

func pack(data []byte) ([]byte, error) {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := z.Write(data); err != nil {
		return nil, err
	}
	err := z.Close()
	return out.Bytes(), err
}

// poll lets the agent of a state poll so often, and gives what one poll takes.
func (a *agentBench) poll(state string, rounds int) (toll, error) {
	m := &meter{web: filepath.Join(a.dir, "repository")}
	srv := httptest.NewServer(m)
	defer srv.Close()
	out, err := output(command{path: a.client, args: append([]string{"--url", srv.URL, "--state", state, "--root", a.root(),
		"cost", "--rounds", fmt.Sprint(rounds)}, a.targets...)})
	if err != nil {
		return toll{}, err
	}
	var c struct {
		Processor float64 `json:"processor_seconds"`
	}
	if err := json.Unmarshal([]byte(out), &c); err != nil {
		return toll{}, err
	}
	n := int64(rounds)
	return toll{bytes: m.bytes.Load() / n, gzip: m.gzip.Load() / n, cpu: time.Duration(c.Processor * float64(time.Second))}, nil
}

// buildClient builds the client inside Fleet's agents.
func (b *bench) buildClient() (string, error) {
	bin := filepath.Join(b.dir, "fleetclient")
	cmd := exec.Command("go", "build", "-C", filepath.Join("..", "compat", "fleetclient"), "-o", bin, ".")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the client (run this from bench/): %w: %s", err, out)
	}
	return bin, nil
}
