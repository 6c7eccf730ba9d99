package signertest

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/signer"
)

func testWrongSecret(t *testing.T, d Device) {
	before := 0
	if d.TriesLeft != nil {
		before = d.TriesLeft(t)
	}
	ui := NewUI(d.Kind, d.Wrong)
	s := open(t, d, d.pinned(), ui)
	for range 3 {
		sig, err := s.Sign(t.Context(), []byte("a message"))
		if !errors.Is(err, signer.ErrPINIncorrect) && !errors.Is(err, signer.ErrPassphrase) {
			t.Fatalf("error is %v, want ErrPINIncorrect or ErrPassphrase", err)
		}
		if sig != nil {
			t.Fatal("a signature came with the error")
		}
		noSecretIn(t, err, d.Wrong)
	}
	if n := len(ui.Secrets()); n != 1 {
		t.Errorf("asked %d times, want once: a wrong secret is not tried again", n)
	}
	if d.TriesLeft != nil {
		if left := d.TriesLeft(t); before-left != 1 {
			t.Errorf("tries left went from %d to %d, want one less", before, left)
		}
	}
}

// noSecretIn fails if any way of printing the error shows the secret.
func noSecretIn(t *testing.T, err error, secret string) {
	t.Helper()
	for _, verb := range []string{"%v", "%+v", "%#v", "%q"} {
		if s := fmt.Sprintf(verb, err); strings.Contains(s, secret) {
			t.Errorf("the secret stands in the error: %s", strings.ReplaceAll(s, secret, "<the secret>"))
		}
	}
}

// testNothingAsked: where there is no secret, nobody has to have one.
func testNothingAsked(t *testing.T, d Device) {
	ui := &UI{}
	mustSign(t, open(t, d, d.pinned(), ui), d.Public, []byte("a message"))
	if n := len(ui.Secrets()); n != 0 {
		t.Errorf("asked %d times for a secret that there is not", n)
	}
}

func testNoSecret(t *testing.T, d Device) {
	ui := &UI{}
	s := open(t, d, d.pinned(), ui)
	_, err := s.Sign(t.Context(), []byte("a message"))
	if !errors.Is(err, signer.ErrNoSecret) {
		t.Fatalf("error is %v, want ErrNoSecret", err)
	}
	if u, ok := s.(signer.Unlocker); ok {
		if err := u.Unlock(t.Context()); !errors.Is(err, signer.ErrNoSecret) {
			t.Errorf("unlock: error is %v, want ErrNoSecret", err)
		}
	}
}

// testEmptySecret: a UI must not return an empty secret, and a backend that gets
// one all the same does not offer it to the device.
func testEmptySecret(t *testing.T, d Device) {
	before := 0
	if d.TriesLeft != nil {
		before = d.TriesLeft(t)
	}
	s := open(t, d, d.pinned(), NewUI(d.Kind, ""))
	sig, err := s.Sign(t.Context(), []byte("a message"))
	if err == nil || sig != nil {
		t.Fatal("an empty secret signed")
	}
	if errors.Is(err, signer.ErrPINIncorrect) || errors.Is(err, signer.ErrPassphrase) {
		t.Errorf("the empty secret was tried: %v", err)
	}
	if d.TriesLeft != nil && d.TriesLeft(t) != before {
		t.Error("the empty secret cost a try")
	}
}
