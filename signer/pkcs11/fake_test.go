//go:build cgo

package pkcs11_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	p11 "github.com/miekg/pkcs11"

	"github.com/fleet-hsm/fleet-hsm/softhsm"
	"github.com/fleet-hsm/fleet-hsm/softpiv/pcsc"
)

// fake is a real shared library between us and SoftHSM that does what SoftHSM never
// does: it locks PINs, hangs, restarts, and so on (testdata/fake/fake.c).
type fake struct {
	*softhsm.Token
	Module string // shadows the real one
	t      testing.TB
}

// built is where the library was built, once for this test binary.
var built struct {
	sync.Once
	dir string
	err error
}

func TestMain(m *testing.M) {
	if done, code := helperProcess(); done {
		os.Exit(code)
	}
	code := pcsc.Main(m) // with the stand-in libpcsclite: no card of this machine is met
	if built.dir != "" {
		os.RemoveAll(built.dir)
	}
	os.Exit(code)
}

func buildFake() {
	headers, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/miekg/pkcs11").Output()
	if err != nil {
		built.err = fmt.Errorf("finding pkcs11.h: %w", err)
		return
	}
	if built.dir, built.err = os.MkdirTemp("", "fleet-hsm-fake"); built.err != nil {
		return
	}
	cmd := exec.Command("cc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-Wno-unused-result",
		"-fvisibility=hidden", "-I", strings.TrimSpace(string(headers)),
		"-o", filepath.Join(built.dir, "fake.so"), filepath.Join("testdata", "fake", "fake.c"), "-ldl", "-lpthread")
	if out, err := cmd.CombinedOutput(); err != nil {
		built.err = fmt.Errorf("building the fake module: %w\n%s", err, out)
	}
}

// newFake puts a misbehaving module before a fresh SoftHSM token. Each has a file of
// its own, so each is a library of its own to the loader.
func newFake(t testing.TB, lines ...string) *fake {
	t.Helper()
	tok := softhsm.New(t)
	return newFakeOn(t, tok, lines...)
}

func newFakeOn(t testing.TB, tok *softhsm.Token, lines ...string) *fake {
	t.Helper()
	built.Do(buildFake)
	pristine(t, tok.Module)
	if built.err != nil {
		t.Fatal(built.err)
	}
	code, err := os.ReadFile(filepath.Join(built.dir, "fake.so"))
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{Token: tok, Module: filepath.Join(t.TempDir(), "fake.so"), t: t}
	if err := os.WriteFile(f.Module, code, 0o755); err != nil {
		t.Fatal(err)
	}
	f.set(lines...)
	return f
}

// pristine fails where an earlier test left SoftHSM running in this process: it would
// go on with that test's tokens.
func pristine(t testing.TB, module string) {
	t.Helper()
	if _, err := p11.New(module).GetInfo(); err != p11.Error(p11.CKR_CRYPTOKI_NOT_INITIALIZED) {
		t.Fatalf("the module still runs for an earlier test: C_GetInfo answered %v", err)
	}
}

// set replaces the faults, while the module is in use or before.
func (f *fake) set(lines ...string) {
	f.t.Helper()
	text := "real=" + f.Token.Module + "\n" + strings.Join(lines, "\n") + "\n"
	tmp := f.Module + ".new"
	if err := os.WriteFile(tmp, []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
	if err := os.Rename(tmp, f.Module+".conf"); err != nil {
		f.t.Fatal(err)
	}
}

// calls counts how often a function was called so far.
func (f *fake) calls(function string) int {
	f.t.Helper()
	log, err := os.ReadFile(f.Module + ".log")
	if err != nil && !os.IsNotExist(err) {
		f.t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(log)) {
		if strings.TrimSpace(line) == function {
			n++
		}
	}
	return n
}
