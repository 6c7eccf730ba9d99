//go:build cgo

package pkcs11_test

import (
	"os"
	"sync"
	"testing"

	p11 "github.com/miekg/pkcs11"

	"github.com/fleet-hsm/fleet-hsm/softhsm"
	"github.com/fleet-hsm/fleet-hsm/softhsm/quirks"
	"github.com/fleet-hsm/fleet-hsm/softpiv/pcsc"
)

// fake is a token behind a forwarding module that does what SoftHSM never does.
type fake struct {
	*softhsm.Token
	Module string // shadows the real one
	quirks *quirks.Module
}

// built is where the library was built, once for this test binary.
var built struct {
	sync.Once
	dir, lib string
	err      error
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
	if built.dir, built.err = os.MkdirTemp("", "fleet-hsm-quirks"); built.err == nil {
		built.lib, built.err = quirks.Build(built.dir)
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
	m := quirks.New(t, built.lib, tok, lines...)
	return &fake{Token: tok, Module: m.Path, quirks: m}
}

// pristine fails where an earlier test left SoftHSM running in this process: it would
// go on with that test's tokens.
func pristine(t testing.TB, module string) {
	t.Helper()
	if _, err := p11.New(module).GetInfo(); err != p11.Error(p11.CKR_CRYPTOKI_NOT_INITIALIZED) {
		t.Fatalf("the module still runs for an earlier test: C_GetInfo answered %v", err)
	}
}

// set replaces the quirks, while the module is in use or before.
func (f *fake) set(lines ...string) { f.quirks.Set(lines...) }

// calls counts how often a function was called so far.
func (f *fake) calls(function string) int { return f.quirks.Calls(function) }
