//go:build cgo && linux

package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/store/repotest"
)

// TestWrongInstallers: what would strand a host, or cannot be, is refused by its name,
// with the way out, and leaves no file behind.
func TestWrongInstallers(t *testing.T) {
	t.Parallel()
	h, other := newHosts(t, "consistent"), newHosts(t, "flat")
	desktop := write(t, "desktop.tar.gz", "no archive")
	must(t, "add", "--path", h.dir, "--target", desktop, "--name", "desktop", "--platform", "linux", "--version", "1.0.0", "-t", "stable", "--no-lint", "all")
	for _, c := range []string{"orbit", "osqueryd"} {
		file := write(t, c, "#!/bin/sh\n# arm64\nexit 0\n")
		must(t, "add", "--path", h.dir, "--target", file, "--name", c, "--platform", "linux-arm64", "--version", "1.0.0", "-t", "stable", "--no-lint", "all")
	}
	roots := filepath.Join(h.dir, "repository", "1.root.json")
	copied := func(name string) string {
		t.Helper()
		dir := filepath.Join(t.TempDir(), name)
		if err := copyTree(h.dir, dir); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	old := copied("old")
	h.release("orbit", "1.4.0")
	newer, spoilt := copied("newer"), copied("spoilt")
	must(t, "timestamp", "--path", newer)
	spoil(t, filepath.Join(spoilt, "repository", "targets", "osqueryd", "linux", "stable"))
	clock := func(days int) string {
		return testClock + "=" + time.Now().AddDate(0, 0, days).UTC().Format(time.RFC3339)
	}
	bare := repotest.New(t, true)
	for _, path := range []string{"orbit/linux/stable/orbit", "osqueryd/linux/stable/osqueryd"} {
		bare.Spare[path] = map[string]any{"length": 10, "hashes": map[string]string{"sha512": strings.Repeat("ab", 64)}}
	}
	bare.Commit()
	ok := []string{"--update-url", h.url, "--type", "deb"}
	with := func(more ...string) []string { return append(slices.Clone(ok), more...) }
	for _, c := range []struct {
		name, path string
		args       []string
		code       int
		env        string
		says, way  string
	}{
		{"an expired timestamp", h.dir, with("--offline"), 4, clock(30), "timestamp", "fleet-hsm timestamp"},
		{"an expired root", h.dir, with("--offline"), 4, clock(4000), "root", "fleet-hsm rotate root --renew"},
		{"a root that expires soon", h.dir, with("--min-days", "root=4000"), 6, "", "root", "--min-days root=N"},
		{"a timestamp that expires soon", h.dir, with("--min-days", "15"), 6, "", "timestamp", "fleet-hsm timestamp"},
		{"a root of another repository", h.dir, with("--root", filepath.Join(other.dir, "repository", "1.root.json")), 4, "", "another repository", "--root"},
		{"a URL of another repository", h.dir, []string{"--update-url", other.url, "--type", "deb"}, 4, "", other.url, "--update-url"},
		{"a server that is behind", newer, ok, 1, "", "serves timestamp version", "fleet-hsm publish"},
		{"a folder that is behind", old, ok, 1, "", "serves targets version", "fleet-hsm pull"},
		{"a channel that does not exist", h.dir, with("--orbit-channel", "beta"), 1, "", "orbit/linux/beta/orbit", "fleet-hsm list"},
		{"a target without a version", bare.Dir, with("--offline", "--min-days", "0"), 1, "", `"orbit/linux/stable/orbit" has no custom.version`, "fleet-hsm add"},
		{"no desktop for arm64", h.dir, with("--arch", "arm64", "--fleet-desktop"), 1, "", "desktop/linux-arm64/stable/desktop.tar.gz", "--arch"},
		{"an archive that is none", h.dir, with("--fleet-desktop"), 1, "", "desktop/linux/stable/desktop.tar.gz", "archive"},
		{"other bytes than signed", spoilt, with("--offline"), 4, "", "osqueryd/linux/stable/osqueryd", "verify --all-targets"},
		{"an unreadable certificate", h.dir, with("--fleet-certificate", "/nowhere.pem"), 2, "", "--fleet-certificate", "--help"},
		{"a certificate that is none", h.dir, with("--update-tls-certificate", desktop, "--offline"), 2, "", "--update-tls-certificate", "PEM"},
		{"a URL without a scheme", h.dir, []string{"--type", "deb", "--update-url", "updates.example.com"}, 2, "", "--update-url", "https://updates.example.com"},
		{"a URL with a query", h.dir, []string{"--type", "deb", "--update-url", "https://updates.example.com/?a"}, 2, "", "--update-url", "leave it out"},
		{"a URL with a password", h.dir, []string{"--type", "deb", "--update-url", "https://me:hunter2@updates.example.com"}, 2, "", "--update-url", "leave it out"},
		{"Fleet's URL with a path", h.dir, with("--fleet-url", "https://fleet.example.com/api"), 2, "", "--fleet-url", "https://fleet.example.com"},
		{"insecure and a certificate", h.dir, with("--insecure", "--fleet-certificate", roots), 2, "", "--insecure and --fleet-certificate", "--help"},
		{"a type that is none", h.dir, []string{"--type", "apk", "--update-url", h.url}, 2, "", "--type", "deb"},
		{"msi", h.dir, []string{"--type", "msi", "--update-url", h.url}, 2, "", "--type msi", "stdout"},
		{"one file for two", h.dir, with("--arch", "amd64,arm64", "--outfile", "x.deb"), 2, "", "--outfile", "leave it out"},
		{"an empty secret", h.dir, with("--enroll-secret-file", os.DevNull), 2, "", "--enroll-secret-file", "--help"},
		{"a URL without a root", t.TempDir(), ok, 1, "", "no repository", "--path"},
		{"an outfile in no folder", h.dir, with("--outfile", "no/such/folder.deb"), 2, "", "--outfile", "--help"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			here := t.TempDir()
			env := []string{"TMPDIR=" + here}
			if c.env != "" {
				env = append(env, c.env)
			}
			r := h.in(here, env, append([]string{"package", "--path", c.path}, c.args...)...)
			if r.code != c.code || !strings.Contains(r.stderr, c.says) || !strings.Contains(r.stderr, c.way) {
				t.Errorf("exit %d, want %d, naming %q and %q:\n%s", r.code, c.code, c.says, c.way, r.stderr)
			}
			if strings.Contains(r.stderr, "hunter2") {
				t.Error("the password of the URL is shown")
			}
			left, err := os.ReadDir(here)
			if err != nil || len(left) > 0 {
				t.Errorf("left behind: %v %v", left, err)
			}
		})
	}
}

// spoil changes a byte of each file in a folder, and no length.
func spoil(t *testing.T, dir string) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil || len(files) == 0 {
		t.Fatalf("nothing to spoil in %s: %v", dir, err)
	}
	for _, e := range files {
		name := filepath.Join(dir, e.Name())
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		data[len(data)-1] ^= 1
		if err := os.Remove(name); err != nil { // one inode for all channels
			t.Fatal(err)
		}
		if err := os.WriteFile(name, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
