package orbit_test

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/compat/fleetclient/forge"
	"github.com/fleet-hsm/fleet-hsm/compat/fleetclient/orbit"
	"github.com/fleet-hsm/fleet-hsm/compat/fleetclient/webroot"
)

const probe = "orbit/linux/stable/orbit"

// serveDir serves dir for the length of the test.
func serveDir(t *testing.T, dir string) string {
	t.Helper()
	handler, err := webroot.New(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

func readFile(t *testing.T, parts ...string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(parts...))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// TestKeys holds the table of keys that agents accept: the judge must say of each
// what was measured on real agents' code.
func TestKeys(t *testing.T) {
	for _, c := range forge.Cases() {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := c.Make(dir); err != nil {
				t.Fatal(err)
			}
			err := follow(serveDir(t, dir), t.TempDir(), readFile(t, dir, "1.root.json"))
			if got := verdict(err); got != c.V05 {
				t.Errorf("verdict %q, want %q (error: %v)", got, c.V05, err)
			}
		})
	}
}

// follow does what an agent does with a repository it meets for the first time.
func follow(url, state string, root []byte) error {
	agent, err := orbit.Open(orbit.Options{URL: url, Dir: state, Root: root})
	if err != nil {
		return err
	}
	defer agent.Close()
	if err := agent.Update(); err != nil {
		return err
	}
	_, err = agent.Check(probe)
	return err
}

func verdict(err error) forge.Verdict {
	if err == nil {
		return forge.OK
	}
	return forge.Fails
}

// A rotation that brings a foreign key stops an agent that was content before.
func TestRotationStopsARunningAgent(t *testing.T) {
	for _, c := range forge.Cases() {
		if !c.Rotated() {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := c.Make(dir); err != nil {
				t.Fatal(err)
			}
			agent, err := orbit.Open(orbit.Options{URL: serveDir(t, dir), Root: readFile(t, dir, "1.root.json")})
			if err != nil {
				t.Fatal(err)
			}
			err = agent.Update()
			versions, verr := agent.Versions()
			if verr != nil {
				t.Fatal(verr)
			}
			if c.V05 == forge.OK && (err != nil || versions.Root != 2) {
				t.Errorf("root %d, error %v; want root 2", versions.Root, err)
			}
			if c.V05 == forge.Fails && err == nil {
				t.Error("the foreign key was accepted")
			}
		})
	}
}
