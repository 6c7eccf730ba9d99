// Package judgetest is the suite that each client passes: it says of the forged
// repositories what was measured, follows a fleetctl folder, and notices bad content.
package judgetest

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/compat/judge"
)

// Client is a client under test; Verdict picks its column of the table of keys.
type Client struct {
	Name    string
	Open    judge.Open
	Verdict func(v05, v07, v2 string) string
}

// Run runs the suite.
func (c Client) Run(t *testing.T) {
	t.Run("Keys", c.keys)
	t.Run("Follow", c.follow)
	t.Run("Consistent", c.consistent)
	t.Run("Usage", c.usage)
}

// buildPeer builds the program that makes repositories; it lives in a module of its
// own because it needs another version of the library.
func buildPeer(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "fleetctl-peer")
	if out, err := exec.Command("go", "build", "-C", "../fleetclient", "-o", bin, "./cmd/fleetctl-peer").CombinedOutput(); err != nil {
		t.Fatalf("building the peer: %v\n%s", err, out)
	}
	return bin
}

func peer(t *testing.T, bin string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(bin, args...)
	for _, role := range []string{"ROOT", "TARGETS", "SNAPSHOT", "TIMESTAMP"} {
		cmd.Env = append(cmd.Env, "FLEET_"+role+"_PASSPHRASE=secret")
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("fleetctl-peer %q: %v: %s", args, err, &stderr)
	}
	return stdout.Bytes()
}

func (c Client) call(args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = judge.Run(c.Name, c.Open, args, &out, &errs)
	return code, out.String(), errs.String()
}

func serve(t *testing.T, dir string) string {
	t.Helper()
	server := httptest.NewServer(http.FileServer(http.Dir(dir)))
	t.Cleanup(server.Close)
	return server.URL
}

// keys: of each repository in the table this client must say what was measured.
func (c Client) keys(t *testing.T) {
	bin := buildPeer(t)
	cases := 0
	for line := range bytes.Lines(peer(t, bin, "forge", "--list")) {
		var forged struct{ Name, V05, V07, V2 string }
		if err := json.Unmarshal(line, &forged); err != nil {
			t.Fatal(err)
		}
		cases++
		t.Run(forged.Name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			peer(t, bin, "forge", forged.Name, dir)
			code, _, stderr := c.call("--url", serve(t, dir), "--state", t.TempDir(), "--root", filepath.Join(dir, "1.root.json"), "all")
			if want := map[string]int{"ok": 0, "fails": 1}[c.Verdict(forged.V05, forged.V07, forged.V2)]; code != want {
				t.Errorf("exit %d, want %d; stderr: %s", code, want, stderr)
			}
		})
	}
	if cases == 0 {
		t.Fatal("no cases")
	}
}

// follow: the life of a fleetctl directory, followed step by step, in the flat
// layout and from a directory of years.
func (c Client) follow(t *testing.T) {
	bin, dir, state := buildPeer(t), t.TempDir(), t.TempDir()
	peer(t, bin, "--path", dir, "gen", "--roles", "root=3,timestamp=5", "--threshold", "root=2",
		"--algorithm", "root=p256,targets=rsa3072", "--root-version", "4", "--expired-old-root", "--targets", "30")
	args := []string{"--url", serve(t, filepath.Join(dir, "repository")), "--state", state, "--root", filepath.Join(dir, "repository", "1.root.json")}
	file := filepath.Join(t.TempDir(), "orbit")
	if err := os.WriteFile(file, []byte("new\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, step := range [][]string{
		nil,
		{"timestamp"},
		{"add", "--target", file, "--name", "orbit", "--platform", "linux", "--version", "2.0.0"},
		{"rotate", "targets"},
	} {
		if step != nil {
			peer(t, bin, append([]string{"--path", dir}, step...)...)
		}
		code, stdout, stderr := c.call(append(args, "all")...)
		var v judge.Totals
		if err := json.Unmarshal([]byte(stdout), &v); code != 0 || err != nil || v.Failed != 0 || v.Count < 30 {
			t.Fatalf("after %q: exit %d, %s %s", step, code, stdout, stderr)
		}
	}
	const name = "orbit/linux/2.0.0/orbit"
	got := filepath.Join(t.TempDir(), "got")
	if code, _, stderr := c.call(append(args, "download", name, "-o", got)...); code != 0 {
		t.Fatalf("download: exit %d: %s", code, stderr)
	}
	if content, err := os.ReadFile(got); err != nil || string(content) != "new\n" {
		t.Errorf("downloaded %q, %v", content, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "repository", "targets", name), []byte("bad\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, command := range [][]string{{"download", name}, {"all"}} {
		if code, _, stderr := c.call(append(args, command...)...); code != 1 || stderr == "" {
			t.Errorf("%q with a bad target: exit %d, %q", command, code, stderr)
		}
	}
}

// consistent: hash- and version-named files.
func (c Client) consistent(t *testing.T) {
	bin, dir := buildPeer(t), t.TempDir()
	peer(t, bin, "--path", dir, "gen", "--consistent-snapshot", "--targets", "5", "--versions", "targets=7,snapshot=9")
	for _, name := range []string{"targets.json", "snapshot.json"} {
		if err := os.Remove(filepath.Join(dir, "repository", name)); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{"--url", serve(t, filepath.Join(dir, "repository")), "--state", t.TempDir(), "--root", filepath.Join(dir, "repository", "1.root.json")}
	if code, stdout, stderr := c.call(append(args, "all")...); code != 0 || !strings.Contains(stdout, `"ok":5`) {
		t.Errorf("exit %d: %s %s", code, stdout, stderr)
	}
}

func (c Client) usage(t *testing.T) {
	for _, args := range [][]string{{}, {"update"}, {"--url", "http://x", "--state", "s"}, {"--url", "http://x", "--state", "s", "download"}, {"--bogus"}} {
		if code, _, stderr := c.call(args...); code != 2 || stderr == "" {
			t.Errorf("%q: exit %d, %q", args, code, stderr)
		}
	}
}
