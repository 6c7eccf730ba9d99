//go:build cgo

package pkcs11_test

import (
	"errors"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/signer"
	"github.com/fleet-hsm/fleet-hsm/signer/pkcs11"
	"github.com/fleet-hsm/fleet-hsm/signer/signertest"
)

func newRemote(t *testing.T) *server {
	t.Helper()
	clients, _ := filepath.Glob("/usr/lib/*/pkcs11/p11-kit-client.so")
	if len(clients) == 0 {
		t.Fatal("p11-kit-client.so is missing (Debian package p11-kit-modules)")
	}
	r := newServer(t, clients[0])
	r.command = []string{"p11-kit", "server", "--foreground", "--name", r.socket(), "--provider", r.Token.Module, "pkcs11:token=" + r.Label}
	t.Setenv("P11_KIT_SERVER_ADDRESS", "unix:path="+r.socket())
	r.up()
	return r
}

// p11-kit-client.so reads its server's address once in a process, so all of this is
// one test.
func TestP11Kit(t *testing.T) {
	r := newRemote(t)
	t.Run("Suite", func(t *testing.T) { p11KitSuite(t, r) })
	t.Run("ConnectionCut", func(t *testing.T) { p11KitCut(t, r) })
	t.Run("ServerDown", func(t *testing.T) { p11KitDown(t, r) })
	t.Run("ServerStalled", func(t *testing.T) { p11KitStalled(t, r) })
}

func p11KitSuite(t *testing.T, r *server) {
	for _, a := range []signer.Algorithm{signer.P256, signer.RSA2048} {
		t.Run(string(a), func(t *testing.T) {
			b := backend(t, r.client)
			made, err := b.Generate(t.Context(), signer.Ref{URI: parse(t, r.URI(string(a)))}, signer.GenerateOptions{Algorithm: a}, person(r.Token))
			if err != nil {
				t.Fatal(err)
			}
			signertest.Run(t, signertest.Config{Setup: func(t *testing.T) signertest.Device {
				return signertest.Device{
					Backend: backend(t, r.client), URI: parse(t, r.URI(string(a))), Public: made.Public[0],
					Kind: signer.PIN, Secret: r.PIN, Wrong: "wrong-pin", Missing: parse(t, r.URI("nobody")),
				}
			}})
		})
	}
	t.Run("Ed25519 is refused by name", func(t *testing.T) {
		_, err := backend(t, r.client).Generate(t.Context(), signer.Ref{URI: parse(t, r.URI("ed"))}, signer.GenerateOptions{Algorithm: signer.Ed25519}, person(r.Token))
		if !errors.Is(err, signer.ErrUnsupported) {
			t.Errorf("error is %v, want ErrUnsupported", err)
		}
	})
}

// timestampKey makes the key of an online signer on a remote token.
func timestampKey(t *testing.T, r *server, o pkcs11.Options) (signer.Signer, *signertest.UI) {
	t.Helper()
	o.Module = r.client
	b := pkcs11.New(o)
	t.Cleanup(func() { b.Close() })
	ui := person(r.Token)
	made, err := b.Generate(t.Context(), signer.Ref{URI: parse(t, r.URI(t.Name()))}, signer.GenerateOptions{}, ui)
	if err != nil {
		t.Fatal(err)
	}
	s := opened(t, b, signer.Ref{URI: parse(t, r.URI(t.Name())), Pinned: made.Public[0]}, ui)
	signs(t, s)
	return s, ui
}

func p11KitCut(t *testing.T, r *server) {
	s, ui := timestampKey(t, r, pkcs11.Options{Timeout: timeout})
	for range 3 {
		r.down() // every connection is cut
		r.up()
		signs(t, s)
	}
	if n := len(ui.Secrets()); n != 1 {
		t.Errorf("asked %d times for the PIN, want once", n)
	}
}

func p11KitDown(t *testing.T, r *server) {
	s, ui := timestampKey(t, r, pkcs11.Options{Timeout: timeout})
	for range 2 {
		r.down()
		for range 2 {
			err := refuses(t, s, signer.ErrUnreachable)
			if errors.Is(err, signer.ErrNoToken) {
				t.Errorf("a server that is down is not a token that is gone: %v", err)
			}
		}
		r.up()
		signs(t, s)
	}
	if n := len(ui.Secrets()); n != 1 {
		t.Errorf("asked %d times for the PIN, want once", n)
	}
}

func p11KitStalled(t *testing.T, r *server) {
	s, ui := timestampKey(t, r, pkcs11.Options{Timeout: 3 * time.Second})
	r.signal(syscall.SIGSTOP)
	refuses(t, s, signer.ErrDeadline)
	refuses(t, s, signer.ErrDeadline)
	r.signal(syscall.SIGCONT)
	waitFor(t, func() bool { _, err := s.Sign(t.Context(), []byte("a message")); return err == nil })
	signs(t, s)
	if n := len(ui.Secrets()); n != 1 {
		t.Errorf("asked %d times for the PIN, want once", n)
	}
}
