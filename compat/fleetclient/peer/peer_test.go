package peer_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/compat/fleetclient/forge"
	"github.com/fleet-hsm/fleet-hsm/compat/fleetclient/orbit"
	"github.com/fleet-hsm/fleet-hsm/compat/fleetclient/peer"
	"github.com/fleet-hsm/fleet-hsm/compat/fleetclient/webroot"
	"github.com/theupdateframework/go-tuf/data"
)

func setPassphrases(t *testing.T) {
	t.Helper()
	for _, role := range forge.RoleNames() {
		t.Setenv(peer.PassphraseVariable(role), "the "+role+" passphrase")
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// follow opens an agent pinned to the first root of dir.
func follow(t *testing.T, dir string) *orbit.Agent {
	t.Helper()
	handler, err := webroot.New(filepath.Join(dir, "repository"), nil)
	must(t, err)
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	root, err := os.ReadFile(filepath.Join(dir, "repository", "1.root.json"))
	must(t, err)
	agent, err := orbit.Open(orbit.Options{URL: server.URL, Dir: t.TempDir(), Root: root})
	must(t, err)
	t.Cleanup(agent.Close)
	return agent
}

// accepts checks every target and gives how many there are.
func accepts(t *testing.T, agent *orbit.Agent) int {
	t.Helper()
	must(t, agent.Update())
	n := 0
	must(t, agent.CheckAll(func(_ string, _ data.TargetFileMeta, err error) {
		n++
		if err != nil {
			t.Error(err)
		}
	}))
	return n
}

func addTarget(t *testing.T, dir, version, content string, tags ...string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "orbit-linux")
	must(t, os.WriteFile(file, []byte(content), 0o755))
	must(t, peer.Add(dir, peer.Target{File: file, Name: "orbit", Platform: "linux", Version: version, Tags: tags}))
}

// The whole life of a directory, followed by one agent.
func TestLife(t *testing.T) {
	setPassphrases(t)
	dir := t.TempDir()
	must(t, peer.Init(dir, io.Discard))
	agent := follow(t, dir)
	if n := accepts(t, agent); n != 0 {
		t.Errorf("%d targets after init", n)
	}
	addTarget(t, dir, "1.0.0", "one\n", "1.0", "stable")
	if n := accepts(t, agent); n != 3 {
		t.Errorf("%d targets after add, want 3", n)
	}
	must(t, peer.Timestamp(dir))
	accepts(t, agent)
	for _, role := range []string{"timestamp", "root"} {
		must(t, peer.Rotate(dir, role, io.Discard))
		accepts(t, agent)
	}
	v, err := agent.Versions()
	must(t, err)
	if want := (orbit.Versions{Root: 3, Targets: 4, Snapshot: 4, Timestamp: 5}); v != want {
		t.Errorf("versions %+v, want %+v", v, want)
	}
	if err := peer.Init(dir, io.Discard); err == nil {
		t.Error("a second init is accepted")
	}
	roots, err := peer.Roots(dir)
	must(t, err)
	current, err := os.ReadFile(filepath.Join(dir, "repository", "root.json"))
	must(t, err)
	if !bytes.Equal(roots, append(current, '\n')) {
		t.Error("roots is not root.json and a newline")
	}
}

// Faults of fleetctl that fleet-hsm must cope with, so the peer must have them.
func TestFaultsAreKept(t *testing.T) {
	setPassphrases(t)
	dir := t.TempDir()
	must(t, peer.Init(dir, io.Discard))
	left := filepath.Join(dir, "staged", "targets", "orbit", "linux", "1.0.0", "orbit")
	must(t, os.MkdirAll(filepath.Dir(left), 0o755))
	const leftover, short = "a longer leftover\n", "short\n"
	must(t, os.WriteFile(left, []byte(leftover), 0o644))
	addTarget(t, dir, "1.0.0", short)
	published, err := os.ReadFile(filepath.Join(dir, "repository", "targets", "orbit", "linux", "1.0.0", "orbit"))
	must(t, err)
	if string(published) != short+leftover[len(short):] {
		t.Errorf("published %q, want the old tail behind the new file", published)
	}
	must(t, os.Mkdir(filepath.Join(dir, "keys", ".backup"), 0o755))
	if err := peer.Rotate(dir, "targets", io.Discard); !errors.Is(err, os.ErrExist) {
		t.Errorf("rotate beside a leftover backup: %v", err)
	}
	t.Setenv(peer.PassphraseVariable("timestamp"), "wrong")
	if err := peer.Timestamp(dir); err == nil {
		t.Error("a wrong passphrase is accepted")
	}
}

func TestPaths(t *testing.T) {
	for _, c := range []struct{ file, name, platform, want string }{
		{"orbit-linux", "orbit", "linux", "orbit/linux/1/orbit"},
		{"orbit.exe", "orbit", "windows", "orbit/windows/1/orbit.exe"},
		{"x.app.tar.gz", "osqueryd", "macos-app", "osqueryd/macos-app/1/osqueryd.app.tar.gz"},
		{"whatever", "desktop", "windows", "desktop/windows/1/fleet-desktop.exe"},
		{"whatever", "desktop", "linux-arm64", "desktop/linux-arm64/1/desktop.tar.gz"},
		{"a.tar.gz", "orbit", "linux", "orbit/linux/1/orbit"},
		{"e.pkg", "escrowBuddy", "macos", "escrowBuddy/macos/1/escrowBuddy.pkg"},
		{"h.ext", "extensions/hello", "linux", "extensions/hello/linux/1/hello.ext"},
		{"h.ext.exe", "extensions/hello", "windows", "extensions/hello/windows/1/hello.ext.exe"},
	} {
		got := peer.Target{File: c.file, Name: c.name, Platform: c.platform, Version: "1"}.Paths()
		if !slices.Equal(got, []string{c.want}) {
			t.Errorf("%s of %s for %s: %q, want %q", c.file, c.name, c.platform, got, c.want)
		}
	}
}

// A generated directory has the form asked for, agents accept it, and the peer's own
// commands, which check every signature, go on with it.
func TestGenerate(t *testing.T) {
	setPassphrases(t)
	dir := t.TempDir()
	must(t, peer.Generate(dir, peer.Spec{
		Roles: map[string]peer.RoleSpec{
			"root":      {Keys: 3, Threshold: 2, Algorithm: "p256", Version: 6},
			"targets":   {Keys: 3, Algorithm: "rsa3072", Version: 90},
			"snapshot":  {Keys: 3, Version: 90},
			"timestamp": {Keys: 5, Version: 4172},
		},
		Targets: 40, ExpiredFirstRoot: true, Location: time.FixedZone("", -3*3600-1800),
	}))
	var root struct {
		Signed struct {
			Expires string                `json:"expires"`
			Roles   map[string]*data.Role `json:"roles"`
		} `json:"signed"`
	}
	content, err := os.ReadFile(filepath.Join(dir, "repository", "1.root.json"))
	must(t, err)
	must(t, json.Unmarshal(content, &root))
	expires, err := time.Parse(time.RFC3339, root.Signed.Expires)
	must(t, err)
	if !strings.HasSuffix(root.Signed.Expires, "-03:30") || expires.After(time.Now()) {
		t.Errorf("1.root.json expires %q, want the past at -03:30", root.Signed.Expires)
	}
	for role, want := range map[string]int{"root": 3, "targets": 3, "snapshot": 3, "timestamp": 5} {
		if got := len(root.Signed.Roles[role].KeyIDs); got != want {
			t.Errorf("%s has %d keys, want %d", role, got, want)
		}
	}
	agent := follow(t, dir)
	if n := accepts(t, agent); n != 40 {
		t.Errorf("%d targets, want 40", n)
	}
	v, err := agent.Versions()
	must(t, err)
	if want := (orbit.Versions{Root: 6, Targets: 90, Snapshot: 90, Timestamp: 4172}); v != want {
		t.Errorf("versions %+v, want %+v", v, want)
	}
	addTarget(t, dir, "2.0.0", "two\n", "edge")
	if n := accepts(t, agent); n != 41 { // edge was there already
		t.Errorf("%d targets after the peer's add, want 41", n)
	}
}

// Key files with another scrypt cost lock fleetctl out, as go-tuf v0.7.0's do.
func TestForeignKDF(t *testing.T) {
	setPassphrases(t)
	dir := t.TempDir()
	must(t, peer.Generate(dir, peer.Spec{ScryptN: 65536}))
	accepts(t, follow(t, dir))
	if err := peer.Timestamp(dir); err == nil {
		t.Error("fleetctl opens a key file with scrypt N=65536")
	}
}

func TestGenerateExpired(t *testing.T) {
	setPassphrases(t)
	dir := t.TempDir()
	must(t, peer.Generate(dir, peer.Spec{Roles: map[string]peer.RoleSpec{"timestamp": {Expired: true}}}))
	if err := follow(t, dir).Update(); err == nil {
		t.Error("an expired timestamp is accepted")
	}
}
