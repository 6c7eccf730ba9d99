//go:build cgo

package pkcs11

import (
	"testing"
	"time"

	p11 "github.com/miekg/pkcs11"

	"github.com/fleet-hsm/fleet-hsm/internal/wiresig"
	"github.com/fleet-hsm/fleet-hsm/signer"
	"github.com/fleet-hsm/fleet-hsm/signer/signertest"
	"github.com/fleet-hsm/fleet-hsm/softhsm"
)

// The binding is built as functionsOf knows it. Where it is not, the binding's own calls
// do the same work.
func TestNativeAndWithoutIt(t *testing.T) {
	tok := softhsm.New(t)
	c := p11.New(tok.Module)
	list, known := functionsOf(c)
	if !known || list == nil || list.version[0] != 2 {
		t.Fatalf("the binding's function list is not where it was: %v, %v", list, known)
	}
	for _, without := range []bool{false, true} {
		b := New(Options{Module: tok.Module, Timeout: time.Minute})
		ui := signertest.NewUI(signer.PIN, tok.PIN)
		u, err := Kind().Parse(tok.URI("targets" + map[bool]string{true: "-binding"}[without]))
		if err != nil {
			t.Fatal(err)
		}
		m, err := b.module(u)
		if err != nil {
			t.Fatal(err)
		}
		if m.lib, err = loadLib(m.path); err != nil {
			t.Fatal(err)
		}
		if !m.lib.n.usable() {
			t.Fatal("the native calls are not used")
		}
		if without {
			m.lib.n = native{}
		}
		made, err := b.Generate(t.Context(), signer.Ref{URI: u}, signer.GenerateOptions{}, ui)
		if err != nil {
			t.Fatal(err)
		}
		s, err := b.Open(t.Context(), signer.Ref{URI: u, Pinned: made.Public[0]}, ui)
		if err != nil {
			t.Fatal(err)
		}
		sig, err := s.Sign(t.Context(), []byte("a message"))
		if err != nil {
			t.Fatal(err)
		}
		if err := wiresig.Verify(made.Public[0], []byte("a message"), sig); err != nil {
			t.Error(err)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
}
