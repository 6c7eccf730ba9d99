//go:build cgo

package pcsc_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/softpiv/card"
	"github.com/fleet-hsm/fleet-hsm/softpiv/pcsc"
)

func newCard(t testing.TB, cfg card.Config) *card.Card {
	t.Helper()
	c, err := card.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// need finds a program or module that judges; in CI its absence is a failure.
func need(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%v, and CI must run this test", err)
	}
	t.Skip(err)
	return ""
}

// needModule finds a PKCS#11 module of Debian's, in the folder of any architecture.
func needModule(t testing.TB, name string) string {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/*/" + name)
	if len(found) > 0 {
		return found[0]
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("no %s below /usr/lib, and CI must run this test", name)
	}
	t.Skipf("no %s below /usr/lib", name)
	return ""
}

// needRoot: namespaces need it.
func needRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("a pcscd of its own needs root, and CI must run this test")
	}
	t.Skip("a pcscd of its own needs root")
}

// bench is a folder and an environment in which programs see certain cards.
type bench struct {
	testing.TB
	dir string
	env []string
}

// serve plugs cards into a stand-in of their own.
func serve(t testing.TB, cards ...*card.Card) bench {
	t.Helper()
	s, err := pcsc.Serve(cards...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return bench{TB: t, dir: t.TempDir(), env: s.Env()}
}

// try runs a program and gives its output and error.
func (b bench) try(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = b.dir
	cmd.Env = append(os.Environ(), b.env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// run runs a program that must succeed.
func (b bench) run(args ...string) string {
	b.Helper()
	out, err := b.try(args...)
	if err != nil {
		b.Fatalf("%q: %v\n%s", args, err, out)
	}
	return out
}

func (b bench) path(name string) string { return filepath.Join(b.dir, name) }

func (b bench) write(name string, data []byte) {
	b.Helper()
	if err := os.WriteFile(b.path(name), data, 0o600); err != nil {
		b.Fatal(err)
	}
}

func (b bench) read(name string) []byte {
	b.Helper()
	data, err := os.ReadFile(b.path(name))
	if err != nil {
		b.Fatal(err)
	}
	return data
}
