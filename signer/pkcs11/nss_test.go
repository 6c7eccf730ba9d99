//go:build cgo

package pkcs11_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	p11 "github.com/miekg/pkcs11"

	"github.com/fleet-hsm/fleet-hsm/signer"
	"github.com/fleet-hsm/fleet-hsm/signer/pkcs11"
	"github.com/fleet-hsm/fleet-hsm/signer/signertest"
)

// NSS is a module that takes its configuration as an argument of C_Initialize, answers
// an attribute that it does not know with CKR_GENERAL_ERROR, replaces a key whose ID is
// used again, and says CKA_LOCAL 0 of keys that it made.
func TestNSS(t *testing.T) {
	modules, _ := filepath.Glob("/usr/lib/*/libsoftokn3.so")
	if len(modules) == 0 {
		t.Fatal("libsoftokn3.so is missing (Debian package libnss3)")
	}
	const pin = "12345678"
	options := pkcs11.Options{
		Module: modules[0], Timeout: timeout,
		InitArgs: fmt.Sprintf("configdir='sql:%s' certPrefix='' keyPrefix='' secmod='secmod.db' flags=", t.TempDir()),
	}
	// It reads its arguments at the first C_Initialize, so one backend stays open.
	first := pkcs11.New(options)
	defer first.Close()
	_, _ = first.Tokens(t.Context(), pkcs11.Kind().URI())
	nssPIN(t, options, pin)
	ui := signertest.NewUI(signer.PIN, pin)
	token := "pkcs11:token=NSS%20Certificate%20DB;object="
	for _, a := range []signer.Algorithm{signer.P256, signer.RSA2048} {
		t.Run(string(a), func(t *testing.T) {
			made, err := first.Generate(t.Context(), signer.Ref{URI: parse(t, token+string(a))}, signer.GenerateOptions{Algorithm: a}, ui)
			if err != nil {
				t.Fatal(err)
			}
			if len(made.Warnings) == 0 {
				t.Error("CKA_LOCAL 0 was not warned of")
			}
			signertest.Run(t, signertest.Config{Setup: func(t *testing.T) signertest.Device {
				b := pkcs11.New(options)
				t.Cleanup(func() { b.Close() })
				return signertest.Device{
					Backend: b, URI: made.URI, Public: made.Public[0], Kind: signer.PIN, Secret: pin, Wrong: "wrong-pin",
					Missing: parse(t, token+"nobody"),
				}
			}})
			id, _ := made.URI.Attr("id")
			again := signer.Ref{URI: parse(t, token+"again").With("id", id)}
			if _, err := first.Generate(t.Context(), again, signer.GenerateOptions{Algorithm: a}, ui); !errors.Is(err, signer.ErrKeyExists) {
				t.Errorf("a used ID, which NSS would replace: %v", err)
			}
		})
	}
	t.Run("Ed25519 is refused by name", func(t *testing.T) {
		_, err := first.Generate(t.Context(), signer.Ref{URI: parse(t, token+"ed")}, signer.GenerateOptions{Algorithm: signer.Ed25519}, ui)
		if !errors.Is(err, signer.ErrUnsupported) {
			t.Errorf("error is %v, want ErrUnsupported", err)
		}
	})
}

// nssPIN gives a new NSS database its PIN. Before, a login is told what is missing.
func nssPIN(t *testing.T, options pkcs11.Options, pin string) {
	t.Helper()
	b := pkcs11.New(options) // which offers no PIN again
	defer b.Close()
	_, err := b.Generate(t.Context(), signer.Ref{URI: parse(t, "pkcs11:token=NSS%20Certificate%20DB;object=x")}, signer.GenerateOptions{}, signertest.NewUI(signer.PIN, pin))
	if !errors.Is(err, signer.ErrPINNotSet) {
		t.Errorf("without a PIN: %v, want ErrPINNotSet", err)
	}
	c := p11.New(options.Module)
	for _, slot := range must(c.GetSlotList(true)) {
		if must(c.GetTokenInfo(slot)).Label != "NSS Certificate DB" {
			continue
		}
		s := must(c.OpenSession(slot, p11.CKF_SERIAL_SESSION|p11.CKF_RW_SESSION))
		if err := errors.Join(c.Login(s, p11.CKU_SO, ""), c.InitPIN(s, pin), c.Logout(s), c.CloseSession(s)); err != nil {
			t.Fatal(err)
		}
	}
}
