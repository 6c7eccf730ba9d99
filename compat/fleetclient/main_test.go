package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/compat/fleetclient/forge"
	"github.com/fleet-hsm/fleet-hsm/compat/fleetclient/webroot"
)

const script = "#!/bin/sh\nexit 0\n"

// published is a served repository with one target that runs here and one that fails.
func published(t *testing.T) (repo *forge.Repo, server *httptest.Server) {
	t.Helper()
	repo = forge.New(t.TempDir(), forge.Ed25519)
	for name, content := range map[string]string{
		"orbit/linux/stable/orbit": script, "orbit/linux-arm64/stable/orbit": script,
		"orbit/linux/broken/orbit": "#!/bin/sh\nexit 3\n", "orbit/linux-arm64/broken/orbit": "#!/bin/sh\nexit 3\n",
	} {
		if err := repo.Add(name, "1.0.0", []byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := repo.All(); err != nil {
		t.Fatal(err)
	}
	handler, err := webroot.New(repo.Dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	server = httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return repo, server
}

// call runs the program and checks the exit code.
func call(t *testing.T, want int, args ...string) (stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	if got := run(args, &out, &errs); got != want {
		t.Errorf("%q ends with %d, want %d; stderr: %s", args, got, want, &errs)
	}
	return out.String(), errs.String()
}

func decode(t *testing.T, text string) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return v
}

func TestCommands(t *testing.T) {
	repo, server := published(t)
	state, root := t.TempDir(), filepath.Join(repo.Dir, "1.root.json")
	agent := []string{"--url", server.URL, "--state", state}
	with := func(more ...string) []string { return append(agent[:len(agent):len(agent)], more...) }

	call(t, 1, with("update")...) // nothing pinned
	out, _ := call(t, 0, with("--root", root, "update")...)
	if v := decode(t, out); v["timestamp"] != 1.0 || v["changed"] != true {
		t.Errorf("first update: %s", out)
	}
	out, _ = call(t, 0, with("update")...)
	if v := decode(t, out); v["changed"] != false {
		t.Errorf("second update: %s", out)
	}
	out, _ = call(t, 0, with("lookup", "orbit/linux/stable/orbit")...)
	if v := decode(t, out); v["length"] != float64(len(script)) || v["custom"].(map[string]any)["version"] != "1.0.0" {
		t.Errorf("lookup: %s", out)
	}
	call(t, 1, with("lookup", "orbit/linux/none/orbit")...)
	file := filepath.Join(t.TempDir(), "orbit")
	call(t, 0, with("download", "orbit/linux/stable/orbit", "-o", file)...)
	if got, _ := os.ReadFile(file); string(got) != script {
		t.Errorf("downloaded %q", got)
	}
	out, _ = call(t, 0, with("all")...)
	if v := decode(t, out); v["ok"] != 4.0 || v["failed"] != 0.0 {
		t.Errorf("all: %s", out)
	}
	out, _ = call(t, 0, with("all", "--json-targets")...)
	if strings.Count(out, "\n") != 5 {
		t.Errorf("all --json-targets: %s", out)
	}
	out, _ = call(t, 0, with("poll", "--cold", "--root", root, "--rounds", "2", "--all", "--restart")...)
	if v := decode(t, out); v["rounds"] != 2.0 || v["ok"] != 2.0 || len(v["clients"].(map[string]any)) != 2 {
		t.Errorf("poll: %s", out)
	}
	if err := os.WriteFile(filepath.Join(repo.Dir, "targets/orbit/linux/stable/orbit"), []byte(strings.ToUpper(script)), 0o644); err != nil {
		t.Fatal(err)
	}
	out, _ = call(t, 1, with("all")...)
	if v := decode(t, out); v["ok"] != 3.0 || v["failed"] != 1.0 {
		t.Errorf("all with one bad target: %s", out)
	}
	out, _ = call(t, 1, with("poll", "--rounds", "2", "--download", "orbit/linux/stable/orbit")...)
	if v := decode(t, out); v["failed"] != 2.0 || len(v["errors"].(map[string]any)) != 1 || len(v["failures"].([]any)) != 2 {
		t.Errorf("poll with one bad target: %s", out)
	}
}

func TestPollEndsAfterTheFile(t *testing.T) {
	repo, server := published(t)
	until := filepath.Join(t.TempDir(), "done")
	if err := os.WriteFile(until, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	out, _ := call(t, 0, "--url", server.URL, "--root", filepath.Join(repo.Dir, "1.root.json"), "poll", "--cold", "--until-file", until)
	if v := decode(t, out); v["rounds"] != 1.0 {
		t.Errorf("poll: %s", out)
	}
}

func TestInstall(t *testing.T) {
	repo, server := published(t)
	state := t.TempDir()
	install := []string{"--url", server.URL, "--state", state, "--root", filepath.Join(repo.Dir, "1.root.json"), "install", "orbit", "linux"}
	out, _ := call(t, 0, append(install, "stable")...)
	if v := decode(t, out); v["downloaded"] != true {
		t.Errorf("install: %s", out)
	}
	out, _ = call(t, 0, append(install, "stable")...)
	if v := decode(t, out); v["downloaded"] != false {
		t.Errorf("second install: %s", out)
	}
	// The platform of this machine, so that the file is run.
	native := map[string]string{"amd64": "linux", "arm64": "linux-arm64"}[runtime.GOARCH]
	if native == "" || runtime.GOOS != "linux" {
		t.Fatalf("this test needs linux on amd64 or arm64, not %s on %s", runtime.GOOS, runtime.GOARCH)
	}
	install[len(install)-1] = native
	call(t, 1, append(install, "broken")...)
	if _, err := os.Stat(filepath.Join(state, "bin/orbit", native, "broken/orbit")); err == nil {
		t.Error("a file that fails --help was installed")
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{
		{}, {"bogus"}, {"update"}, {"--url", "http://x", "update"}, {"--url", "http://x", "--state", "s", "lookup"},
		{"--url", "http://x", "--state", "s", "update", "more"}, {"--bogus", "update"},
		{"--url", "http://x", "--state", "s", "poll"}, {"--url", "http://x", "poll", "--cold", "--rounds", "1"},
	} {
		if _, stderr := call(t, 2, args...); stderr == "" {
			t.Errorf("%q: no word on stderr", args)
		}
	}
}

// TLS with a private authority: refused without --ca, accepted with it.
func TestPrivateAuthority(t *testing.T) {
	repo, plain := published(t)
	server := httptest.NewTLSServer(plain.Config.Handler)
	t.Cleanup(server.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(ca, block, 0o644); err != nil {
		t.Fatal(err)
	}
	args := []string{"--url", server.URL, "--state", t.TempDir(), "--root", filepath.Join(repo.Dir, "1.root.json")}
	call(t, 1, append(args, "update")...)
	call(t, 0, append(args, "--ca", ca, "update")...)
	call(t, 1, append(args, "--ca", filepath.Join(repo.Dir, "root.json"), "update")...)
}

// serve prints its URL first, serves, and ends by itself.
func TestServe(t *testing.T) {
	repo, _ := published(t)
	reader, writer := io.Pipe()
	ended := make(chan int)
	go func() {
		var errs bytes.Buffer
		ended <- run([]string{"serve", repo.Dir, "--stop-after", "2s"}, writer, &errs)
	}()
	url, err := bufio.NewReader(reader).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	url = strings.TrimSpace(url)
	call(t, 0, "--url", url, "--state", t.TempDir(), "--root", filepath.Join(repo.Dir, "1.root.json"), "update")
	if code := <-ended; code != 0 {
		t.Errorf("serve ends with %d", code)
	}
}
