//go:build cgo && linux

package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// estateOfHosts is a repository that is served, with the agent's components, and hosts
// that were installed from it.
type estateOfHosts struct {
	t        *testing.T
	dir, url string
	bin      string
}

func newHosts(t *testing.T, layout string) *estateOfHosts {
	t.Helper()
	bin, err := clients()
	if err != nil {
		t.Fatal(err)
	}
	h := &estateOfHosts{t: t, dir: filepath.Join(t.TempDir(), "updates"), bin: bin}
	from, err := template(layout)
	if err != nil {
		t.Fatal(err)
	}
	if err := copyTree(from, h.dir); err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(http.FileServer(http.Dir(filepath.Join(h.dir, "repository"))))
	t.Cleanup(srv.Close)
	h.url = srv.URL
	for _, c := range []string{"orbit", "osqueryd"} {
		h.release(c, "1.2.3")
	}
	return h
}

// release publishes a component that runs here.
func (h *estateOfHosts) release(component, version string) {
	h.t.Helper()
	file := write(h.t, component, "#!/bin/sh\n# "+component+" "+version+"\nexit 0\n")
	must(h.t, "add", "--path", h.dir, "--target", file, "--name", component, "--platform", "linux", "--version", version, "-t", "stable", "--no-lint", "all")
}

// pack makes a .deb for amd64 and gives its name.
func (h *estateOfHosts) pack(args ...string) string {
	h.t.Helper()
	deb := filepath.Join(h.t.TempDir(), "agent.deb")
	must(h.t, append([]string{"package", "--path", h.dir, "--type", "deb", "--update-url", h.url, "--outfile", deb}, args...)...)
	return deb
}

// unpack lays a package down, as dpkg would, and gives the root.
func (h *estateOfHosts) unpack(deb string) string {
	h.t.Helper()
	root := h.t.TempDir()
	if out, err := exec.Command("dpkg-deb", "-x", deb, root).CombinedOutput(); err != nil {
		h.t.Fatalf("%v\n%s", err, out)
	}
	return root
}

// client runs the agent's client on a host; nothing but what was installed tells it whom
// to trust.
func (h *estateOfHosts) client(root string, args ...string) map[string]any {
	h.t.Helper()
	state := filepath.Join(root, "opt", "orbit")
	out, err := exec.Command(filepath.Join(h.bin, "fleetclient"), append([]string{"--url", h.url, "--state", state}, args...)...).Output()
	if err != nil {
		h.t.Fatalf("the agent in %s refuses %q: %v\n%s", filepath.Base(root), args, err, stderrOf(err))
	}
	var v map[string]any
	if err := json.Unmarshal(out, &v); err != nil {
		h.t.Fatal(err)
	}
	return v
}

// in runs the tool in a folder.
func (h *estateOfHosts) in(dir string, env []string, args ...string) result {
	h.t.Helper()
	cmd := exec.Command("fleet-hsm", args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	var out, errOut strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		h.t.Fatal(err)
	}
	return result{cmd.ProcessState.ExitCode(), out.String(), errOut.String()}
}

func stderrOf(err error) string {
	if exit, ok := err.(*exec.ExitError); ok {
		return string(exit.Stderr)
	}
	return ""
}

// TestInstalledAgentFollows: the agent's own client, on what was installed and with no
// other root, follows from the first day, after a release, and after each role changed its
// keys; so does a host that is installed from the same package at the end of it all, and
// an agent that reads the store by its old name.
func TestInstalledAgentFollows(t *testing.T) {
	t.Parallel()
	for _, layout := range []string{"consistent", "flat"} {
		t.Run(layout, func(t *testing.T) {
			t.Parallel()
			h := newHosts(t, layout)
			deb := h.pack()
			host, later, old := h.unpack(deb), h.unpack(deb), h.unpack(deb)
			if v := h.client(host, "update"); v["changed"] != false || v["root"] != 1.0 {
				t.Errorf("on the first day: %v", v)
			}
			for _, c := range []string{"orbit", "osqueryd"} {
				if v := h.client(host, "install", c, "linux", "stable"); v["downloaded"] != false {
					t.Errorf("%s was laid down otherwise than the agent does: %v", c, v)
				}
			}
			h.release("orbit", "1.3.0")
			if v := h.client(host, "install", "orbit", "linux", "stable"); v["downloaded"] != true {
				t.Errorf("after a release: %v", v)
			}
			for _, role := range meta.Roles() {
				must(t, "rotate", role, "--path", h.dir)
				h.client(host, "all")
			}
			if v := h.client(later, "all"); v["root"] != float64(1+len(meta.Roles())) || v["ok"] != 5.0 {
				t.Errorf("installed at the end: %v", v)
			}
			store := filepath.Join(old, "opt", "orbit")
			if err := os.Rename(filepath.Join(store, "tuf-metadata.json"), filepath.Join(store, "updates-metadata.json")); err != nil {
				t.Fatal(err)
			}
			h.client(old, "all")
			must(t, "package", "inspect", deb, "--path", h.dir)
		})
	}
}

// TestStoreIsTheAgentsOwn: byte for byte what the agent's client writes after its first
// update.
func TestStoreIsTheAgentsOwn(t *testing.T) {
	t.Parallel()
	h := newHosts(t, "consistent")
	host, cold := h.unpack(h.pack()), t.TempDir()
	h.client(cold, "--root", filepath.Join(h.dir, "repository", "1.root.json"), "update")
	for _, name := range []string{"updates-metadata.json", "tuf-metadata.json"} {
		ours, err := os.ReadFile(filepath.Join(host, "opt", "orbit", name))
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := os.ReadFile(filepath.Join(cold, "opt", "orbit", "updates-metadata.json"))
		if err != nil {
			t.Fatal(err)
		}
		if string(ours) != string(theirs) {
			t.Errorf("%s differs from the agent's own:\n%s\n%s", name, ours, theirs)
		}
	}
}

// TestPackagesDocument: every command of the document works.
func TestPackagesDocument(t *testing.T) {
	t.Parallel()
	r := newReader(t)
	from, err := template("consistent")
	if err != nil {
		t.Fatal(err)
	}
	updates := filepath.Join(r.dir, "updates")
	if err := copyTree(from, updates); err != nil {
		t.Fatal(err)
	}
	manifest := write(t, "release.yaml", "version: 1.2.3\nchannels: [stable]\ntargets:\n")
	f, err := os.OpenFile(manifest, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []string{"orbit", "osqueryd"} {
		for _, p := range []string{"linux", "linux-arm64"} {
			file := write(t, c+p, "#!/bin/sh\n# "+c+p+"\n")
			if _, err := f.WriteString("  - {name: " + c + ", platform: " + p + ", file: " + file + "}\n"); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	// The key files of the template cost nothing to open.
	must(t, "add", "--path", updates, "--manifest", manifest, "--no-lint", "all")
	out := r.follow(t, "packages.md")
	for _, want := range []string{"fleetctl package --type msi", "leads from root v1", "_arm64.deb", "aarch64.rpm"} {
		if !strings.Contains(out, want) {
			t.Errorf("the commands say nothing of %q:\n%s", want, out)
		}
	}
	if strings.Contains(out, "not-a-real-one") {
		t.Error("the enroll secret was shown")
	}
}

// TestHosts: dpkg, rpm, lintian, rpmlint and systemd take what was made, from the first
// day to the purge.
func TestHosts(t *testing.T) {
	t.Parallel()
	bin, err := clients()
	if err != nil {
		t.Fatal(err)
	}
	tool, err := exec.LookPath("fleet-hsm")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(filepath.Join("..", "..", "scripts", "hosts"), tool, filepath.Join(bin, "fleetclient")).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "hosts: all is well") {
		t.Errorf("%v\n%s", err, out)
	}
}
