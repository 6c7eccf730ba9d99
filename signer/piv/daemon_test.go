//go:build cgo && linux

package piv

import (
	"context"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	yk "github.com/go-piv/piv-go/v2/piv"

	"github.com/fleet-hsm/fleet-hsm/internal/wiresig"
	"github.com/fleet-hsm/fleet-hsm/signer"
	"github.com/fleet-hsm/fleet-hsm/signer/signertest"
	soft "github.com/fleet-hsm/fleet-hsm/softpiv/card"
	"github.com/fleet-hsm/fleet-hsm/softpiv/pcsc"
)

// These tests run behind the real pcscd and the real libpcsclite, in a process that
// was started without the stand-in library.

// daemon starts pcscd with two YubiKeys and another vendor's card, for a whole
// process: libpcsclite looks for its daemon once.
func daemon(t testing.TB) (d *pcsc.Daemon, blue, red, acme *soft.Card) {
	t.Helper()
	if os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("a pcscd for tests needs root, and CI must run this test")
		}
		t.Skip("a pcscd for tests needs root")
	}
	blue, red = newCard(t, soft.Config{Serial: 15835999}), newCard(t, soft.Config{Serial: 7654321, Firmware: [3]byte{5, 4, 3}})
	acme = newCard(t, soft.Config{OtherVendor: true})
	d, err := pcsc.StartPCSCD(blue, red, acme)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	for _, kv := range d.Env() {
		name, value, _ := strings.Cut(kv, "=")
		t.Setenv(name, value)
	}
	return d, blue, red, acme
}

// readerOf finds the reader of a YubiKey.
func readerOf(t testing.TB, serial uint32) string {
	t.Helper()
	for _, r := range must(yk.Cards())(t) {
		if isYubiKey(r) && serialIn(r) == serial {
			return r
		}
	}
	t.Fatalf("no reader holds card %d", serial)
	return ""
}

// serialIn is 0 for one of vpcd's empty slots.
func serialIn(reader string) uint32 {
	y, err := yk.Open(reader)
	if err != nil {
		return 0
	}
	defer func() { _ = y.Close() }()
	n, _ := y.Serial()
	return n
}

func TestDaemon(t *testing.T) {
	if aloneWithDaemon(t) {
		return
	}
	d, blue, red, acme := daemon(t)
	reader := readerOf(t, 15835999)
	pub := provision(t, reader, yk.SlotSignature, quick())
	second := provision(t, reader, yk.SlotAuthentication, quick())
	provision(t, readerOf(t, 7654321), yk.SlotSignature, quick())
	ref := signer.Ref{URI: uri(t, "piv:serial=15835999;slot=9c"), Pinned: pub, Roles: []string{"root"}}

	t.Run("Suite", func(t *testing.T) {
		signertest.Run(t, signertest.Config{Setup: func(t *testing.T) signertest.Device {
			return signertest.Device{
				Backend: newBackend(t, Options{}), URI: ref.URI, Public: pub,
				Second: uri(t, "piv:serial=15835999;slot=9a"), SecondPublic: second,
				Kind: signer.PIN, Secret: testPIN, Wrong: wrongPIN,
				Missing: uri(t, "piv:serial=15835999;slot=82"), Ambiguous: uri(t, "piv:slot=9c"),
				TriesLeft: func(*testing.T) int { return blue.PINLeft() },
			}
		}})
	})
	t.Run("Held", func(t *testing.T) {
		b := newBackend(t, Options{BusyFor: 250 * time.Millisecond})
		raw(t, reader, func(*yk.YubiKey) {
			if _, err := openAndSign(t.Context(), b, ref); !errors.Is(err, signer.ErrBusy) {
				t.Errorf("error is %v, want ErrBusy", err)
			}
		})
		if _, err := openAndSign(t.Context(), b, ref); err != nil {
			t.Error(err)
		}
	})
	t.Run("Removed", func(t *testing.T) { daemonRemoved(t, d, blue, ref) })
	t.Run("SetupGenerateAttest", func(t *testing.T) { daemonSetup(t, red) })
	t.Run("OtherVendor", func(t *testing.T) { daemonOtherVendor(t, acme) })
	t.Run("Stopped", func(t *testing.T) { daemonStopped(t, d, ref) })
	t.Run("Killed", func(t *testing.T) { daemonKilled(t, d, ref) })
}

// daemonStopped: pcscd hangs. Calls end with the context or the deadline, and all is
// well when it goes on.
func daemonStopped(t *testing.T, d *pcsc.Daemon, ref signer.Ref) {
	s := open(t, newBackend(t, Options{}), ref, person(testPIN))
	must(s.Sign(t.Context(), []byte("m")))(t)
	signal(t, d, syscall.SIGSTOP)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	soon(t, "signing behind a daemon that hangs", func() {
		if _, err := s.Sign(ctx, []byte("m")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error is %v, want DeadlineExceeded", err)
		}
	})
	b := newBackend(t, Options{Deadline: 100 * time.Millisecond, BusyFor: 100 * time.Millisecond})
	soon(t, "opening behind a daemon that hangs", func() {
		if _, err := b.Open(t.Context(), ref, person(testPIN)); !errors.Is(err, signer.ErrDeadline) {
			t.Errorf("error is %v, want ErrDeadline", err)
		}
	})
	signal(t, d, syscall.SIGCONT)
	if _, err := openAndSign(t.Context(), newBackend(t, Options{}), ref); err != nil {
		t.Errorf("when the daemon goes on: %v", err)
	}
}

func daemonKilled(t *testing.T, d *pcsc.Daemon, ref signer.Ref) {
	s := open(t, newBackend(t, Options{}), ref, person(testPIN))
	signal(t, d, syscall.SIGKILL)
	soon(t, "signing without a daemon", func() {
		if _, err := s.Sign(t.Context(), []byte("m")); !errors.Is(err, signer.ErrUnreachable) {
			t.Errorf("error is %v, want ErrUnreachable", err)
		}
	})
}

func signal(t *testing.T, d *pcsc.Daemon, sig syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(d.PID(), sig); err != nil {
		t.Fatal(err)
	}
}

// daemonRemoved pulls the card out at every command, until a signature is made.
func daemonRemoved(t *testing.T, d *pcsc.Daemon, c *soft.Card, ref signer.Ref) {
	for n := 1; ; n++ {
		if n%5 == 0 {
			continue // SELECT in piv.Open, which keeps the connection: see TestResetAtEveryCommand
		}
		c.RemoveAfter(n)
		var sig []byte
		var err error
		soon(t, "signing", func() { sig, err = openAndSign(t.Context(), newBackend(t, Options{}), ref) })
		c.RemoveAfter(-1)
		c.Insert()
		if err := d.Settled(); err != nil {
			t.Fatal(err)
		}
		if c.PINLeft() != 3 {
			t.Fatalf("command %d: %d tries left", n, c.PINLeft())
		}
		if err == nil {
			if err := wiresig.Verify(ref.Pinned, []byte("root"), sig); err != nil || n < 10 {
				t.Errorf("signed with the card removed after %d commands: %v", n, err)
			}
			return
		}
		if !errors.Is(err, signer.ErrNoToken) && !errors.Is(err, signer.ErrDevice) && !errors.Is(err, signer.ErrBusy) {
			t.Errorf("command %d: %v", n, err)
		}
	}
}

func daemonSetup(t *testing.T, c *soft.Card) {
	b, ui := newBackend(t, Options{}), setupUI()
	must(b.Setup(t.Context(), uri(t, "piv:serial=7654321"), signer.SetupOptions{Reset: true}, ui))(t)
	ref := signer.Ref{URI: uri(t, "piv:serial=7654321;slot=9c")}
	g := must(b.Generate(t.Context(), ref, signer.GenerateOptions{AttestationRoots: c.CAPEM()}, ui))(t)
	must(b.Attest(t.Context(), ref, c.CAPEM()))(t)
	ref.Pinned = g.Public[0]
	if _, err := openAndSign(t.Context(), b, ref); err != nil {
		t.Error(err)
	}
}

func daemonOtherVendor(t *testing.T, c *soft.Card) {
	b, ui := newBackend(t, Options{}), setupUI()
	u := uri(t, "piv:reader=acme")
	must(b.Setup(t.Context(), u, signer.SetupOptions{}, ui))(t)
	ref := signer.Ref{URI: u.With("slot", "9a")}
	must(b.Generate(t.Context(), ref, signer.GenerateOptions{TouchPolicy: "never"}, ui))(t)
	if _, err := openAndSign(t.Context(), b, ref); err != nil {
		t.Error(err)
	}
	if c.PINLeft() != 5 {
		t.Errorf("%d tries left", c.PINLeft())
	}
}
