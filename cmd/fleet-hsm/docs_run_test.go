//go:build cgo && linux

package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/softhsm"
	"github.com/fleet-hsm/fleet-hsm/softpiv/card"
)

// fenced gives the blocks of a document that stand between ```sh and ```, in order.
func fenced(t *testing.T, file string) []string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "docs", file))
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	block, in := "", false
	for line := range strings.Lines(string(data)) {
		switch {
		case strings.TrimSpace(line) == "```sh":
			block, in = "", true
		case in && strings.HasPrefix(line, "```"):
			blocks, in = append(blocks, block), false
		case in:
			block += line
		}
	}
	if len(blocks) == 0 {
		t.Fatalf("docs/%s has no commands", file)
	}
	return blocks
}

// reader is somebody who follows a document: one shell for all of it, in a folder with
// the files that it speaks of, devices on the desk, and a web server.
type reader struct {
	dir     string
	env     []string
	replace *strings.Replacer
}

func newReader(t *testing.T) *reader {
	t.Helper()
	bin, err := clients()
	if err != nil {
		t.Fatal(err)
	}
	r := &reader{dir: t.TempDir()}
	srv := httptest.NewServer(http.FileServer(http.Dir(filepath.Join(r.dir, "updates", "repository"))))
	t.Cleanup(srv.Close)
	tok, err := softhsm.Make(filepath.Join(r.dir, "hsm"), softhsm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ca, err := card.NewCA("")
	if err != nil {
		t.Fatal(err)
	}
	desk, server, err := newDesk(ca, []string{"one=15835999"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	desk["one"].SetTouch(card.TouchAuto, 0)
	for name, content := range map[string]string{"pin": "740519", "puk": "74051983"} {
		if err := os.WriteFile(filepath.Join(r.dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r.tools(t, bin)
	r.build(t, filepath.Join(bin, "fleetclient"))
	// What a person would type at a prompt comes from files; what a document says of
	// the reader's own machine is here.
	r.replace = strings.NewReplacer(
		"https://updates.example.com", srv.URL,
		"/usr/lib/softhsm/libsofthsm2.so", tok.Module,
		"/run/credentials/pin", tok.PINFile(),
		`token setup "piv:serial=15835999"`, `token setup "piv:serial=15835999" --new-pin-source file:../pin --new-puk-source file:../puk`,
	)
	r.env = append(append(os.Environ(), secretEnv()...), server.Env()...)
	r.env = append(r.env, tok.Env(), "FLEET_ROOT_PIN=740519", "HOME="+r.dir, realKeys+"=1",
		"PATH="+filepath.Join(r.dir, "bin")+string(filepath.ListSeparator)+os.Getenv("PATH"))
	return r
}

// tools makes a fleetctl that does what the real one does with its updates, and takes
// what `package` is given for granted.
func (r *reader) tools(t *testing.T, bin string) {
	t.Helper()
	if err := os.Mkdir(filepath.Join(r.dir, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	script := fmt.Sprintf("#!/bin/sh\ncase $1 in\nupdates) exec %q \"$@\" ;;\npackage) test -n \"$7\" ;;\n*) exit 9 ;;\nesac\n",
		filepath.Join(bin, "fleetctl-peer"))
	if err := os.WriteFile(filepath.Join(r.dir, "bin", "fleetctl"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
}

// build makes what a release is made of: programs for Linux and an archive of one.
func (r *reader) build(t *testing.T, program string) {
	t.Helper()
	dir := filepath.Join(r.dir, "build")
	elf, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	gz := gzip.NewWriter(&archive)
	tw := tar.NewWriter(gz)
	err = tw.WriteHeader(&tar.Header{Name: "fleet-desktop/", Typeflag: tar.TypeDir, Mode: 0o755})
	if err == nil {
		err = tw.WriteHeader(&tar.Header{Name: "fleet-desktop/fleet-desktop", Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(elf))})
	}
	if err == nil {
		_, err = tw.Write(elf)
	}
	if err != nil || tw.Close() != nil || gz.Close() != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		"orbit-linux": elf, "orbit-linux-new": append(bytes.Clone(elf), "new"...), "desktop.tar.gz": archive.Bytes(),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// follow runs the commands of a document, one after the other; the first that fails
// ends it. Nobody can be asked anything.
func (r *reader) follow(t *testing.T, file string) string {
	t.Helper()
	var script strings.Builder
	script.WriteString("set -eu\n")
	for i, block := range fenced(t, file) {
		fmt.Fprintf(&script, "echo '--- block %d of %s'\n%s", i+1, file, block)
	}
	cmd := exec.Command("bash", "-c", r.replace.Replace(script.String()))
	cmd.Dir, cmd.Env = r.dir, r.env
	out, err := cmd.CombinedOutput()
	if s := shows(string(out)); s != "" {
		t.Errorf("docs/%s shows a secret (%s)", file, s)
	}
	if err != nil {
		t.Fatalf("docs/%s: %v\n%s", file, err, out)
	}
	return string(out)
}

func TestQuickstart(t *testing.T) {
	t.Parallel()
	r := newReader(t)
	out := r.follow(t, "quickstart.md")
	if !strings.Contains(out, "verified from root v1") {
		t.Errorf("nothing was verified:\n%s", out)
	}
	if _, stderr, err := follow(filepath.Join(r.dir, "updates"), filepath.Join(r.dir, "agent")); err != nil {
		t.Errorf("an agent refuses: %v\n%s", err, stderr)
	}
}

func TestFromFleetctl(t *testing.T) {
	t.Parallel()
	r := newReader(t)
	from, err := template("fleetctl")
	if err != nil {
		t.Fatal(err)
	}
	updates, agent := filepath.Join(r.dir, "updates"), filepath.Join(r.dir, "agent")
	if err := copyTree(from, updates); err != nil {
		t.Fatal(err)
	}
	if _, stderr, err := follow(updates, agent); err != nil {
		t.Fatalf("%v\n%s", err, stderr)
	}
	r.follow(t, "from-fleetctl.md")
	for _, state := range []string{agent, filepath.Join(r.dir, "new")} {
		if _, stderr, err := follow(updates, state); err != nil {
			t.Errorf("agent %s refuses: %v\n%s", filepath.Base(state), err, stderr)
		}
	}
}
