//go:build cgo && linux

package pcsc_test

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/softpiv/card"
	"github.com/fleet-hsm/fleet-hsm/softpiv/pcsc"
)

// daemon starts a pcscd of its own for the cards.
func daemon(t *testing.T, cards ...*card.Card) (bench, *pcsc.Daemon) {
	t.Helper()
	needRoot(t)
	d, err := pcsc.StartPCSCD(cards...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return bench{TB: t, dir: t.TempDir(), env: d.Env()}, d
}

// TestDaemon: two cards and one of another vendor behind the real pcscd, used by real
// programs; one is pulled out and plugged in again.
func TestDaemon(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"yubico-piv-tool", "pkcs11-tool", "opensc-tool"} {
		need(t, tool)
	}
	blue, red := newCard(t, card.Config{Serial: 1111, Firmware: [3]byte{5, 4, 3}}), newCard(t, card.Config{Serial: 2222, Firmware: [3]byte{4, 3, 7}})
	acme := newCard(t, card.Config{OtherVendor: true})
	b, d := daemon(t, blue, red, acme)
	readers := b.run("opensc-tool", "-l")
	for _, want := range []string{"Yes             Yubico YubiKey OTP+FIDO+CCID 00 00", "Yes             Yubico YubiKey OTP+FIDO+CCID 00 01", "Yes             ACME Card Reader 00 00"} {
		if !strings.Contains(readers, want) {
			t.Errorf("readers lack %q:\n%s", want, readers)
		}
	}
	for reader, serial := range map[string]string{"00 00": "1111", "00 01": "2222"} {
		out := b.run("yubico-piv-tool", "-r", "Yubico YubiKey OTP+FIDO+CCID "+reader, "-a", "status")
		if !strings.Contains(out, "Serial Number:\t"+serial+"\n") {
			t.Errorf("reader %s: %s", reader, out)
		}
	}
	b.prepare()
	b.signThrough(needModule(t, "libykcs11.so"))
	for _, change := range []struct {
		do   func()
		want string
	}{{blue.Remove, "No "}, {blue.Insert, "Yes"}} {
		change.do()
		if err := d.Settled(); err != nil {
			t.Fatal(err)
		}
		if out := b.run("opensc-tool", "-l"); !strings.Contains(out, change.want+"             Yubico YubiKey OTP+FIDO+CCID 00 00") {
			t.Errorf("the card is not %q:\n%s", change.want, out)
		}
	}
	b.run("yubico-piv-tool", "-a", "verify-pin", "-P", "123456")
}

// TestDaemonQuickHand: a card that is pulled out while a program uses it, and is back
// before the daemon has looked again, is seen again all the same.
func TestDaemonQuickHand(t *testing.T) {
	t.Parallel()
	need(t, "yubico-piv-tool")
	blue := newCard(t, card.Config{Serial: 1111})
	b, d := daemon(t, blue)
	for range 5 {
		blue.RemoveAfter(3)
		if out, err := b.try("yubico-piv-tool", "-a", "status"); err == nil && strings.Contains(out, "1111") {
			t.Fatalf("the card was not pulled out:\n%s", out)
		}
		blue.Insert()
		if err := d.Settled(); err != nil {
			t.Fatal(err)
		}
		if out := b.run("yubico-piv-tool", "-a", "status"); !strings.Contains(out, "Serial Number:\t1111\n") {
			t.Fatalf("plugged in again:\n%s", out)
		}
	}
}

// TestDaemonsApart: two daemons at once, each with its own card, and nothing left of
// them afterwards.
func TestDaemonsApart(t *testing.T) {
	t.Parallel()
	need(t, "yubico-piv-tool")
	needRoot(t)
	var pids []int
	var sockets []string
	t.Run("alive", func(t *testing.T) {
		for _, serial := range []uint32{11, 22} {
			b, d := daemon(t, newCard(t, card.Config{Serial: serial}))
			pids, sockets = append(pids, d.PID()), append(sockets, d.Socket())
			want := map[uint32]string{11: "Serial Number:\t11\n", 22: "Serial Number:\t22\n"}[serial]
			if out := b.run("yubico-piv-tool", "-a", "status"); !strings.Contains(out, want) {
				t.Errorf("daemon of card %d:\n%s", serial, out)
			}
		}
	})
	for _, pid := range pids {
		if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("process %d: %v", pid, err)
		}
	}
	for _, socket := range sockets {
		if _, err := os.Stat(socket); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: %v", socket, err)
		}
	}
}
