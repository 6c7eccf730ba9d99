//go:build cgo && linux

package pkcs11_test

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/signer"
	"github.com/fleet-hsm/fleet-hsm/signer/signertest"
	"github.com/fleet-hsm/fleet-hsm/softpiv/card"
	"github.com/fleet-hsm/fleet-hsm/softpiv/pcsc"
)

// YubiKeys through PKCS#11 modules: their maker's (ykcs11) and OpenSC's. Both go through
// libpcsclite to a card in software. People with a module of their own for their cards
// come this way; `piv:` needs none.

const cardPIN = "123456" // the factory's

// cardModules are the modules, and what they call the key in a slot.
func cardModules() map[string]map[string]string {
	return map[string]map[string]string{
		"libykcs11.so":     {"9a": "pkcs11:serial=15835999;id=%01", "9c": "pkcs11:serial=15835999;id=%02", "9d": "pkcs11:serial=15835999;id=%03"},
		"opensc-pkcs11.so": {"9a": "pkcs11:manufacturer=piv_II;id=%01", "9c": "pkcs11:manufacturer=piv_II;id=%02", "9d": "pkcs11:manufacturer=piv_II;id=%03"},
	}
}

func cardModule(t testing.TB, name string) string {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/*/" + name)
	if len(found) == 0 {
		t.Fatalf("%s is missing (Debian packages ykcs11, opensc-pkcs11)", name)
	}
	return found[0]
}

// cardWithKeys plugs a card in whose slot 9a wants the PIN once and 9c each time, with
// the certificates without which OpenSC sees no key.
func cardWithKeys(t *testing.T) (*card.Card, map[string]crypto.PublicKey) {
	t.Helper()
	c, err := card.New(card.Config{Serial: 15835999, Firmware: [3]byte{5, 4, 3}})
	if err != nil {
		t.Fatal(err)
	}
	pcsc.Use(t, c)
	dir := t.TempDir()
	piv := func(args ...string) {
		t.Helper()
		cmd := exec.Command("yubico-piv-tool", args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("yubico-piv-tool %q: %v\n%s", args, err, out)
		}
	}
	keys := map[string]crypto.PublicKey{}
	for slot, policy := range map[string]string{"9a": "once", "9c": "always"} {
		piv("-a", "generate", "-s", slot, "-A", "ECCP256", "--pin-policy="+policy, "--touch-policy=never", "-o", slot+".pub")
		piv("-a", "attest", "-s", slot, "-o", slot+".pem")
		piv("-a", "import-certificate", "-s", slot, "-i", slot+".pem")
		text, err := os.ReadFile(filepath.Join(dir, slot+".pub"))
		if err != nil {
			t.Fatal(err)
		}
		block, _ := pem.Decode(text)
		if keys[slot], err = x509.ParsePKIXPublicKey(block.Bytes); err != nil {
			t.Fatal(err)
		}
	}
	return c, keys
}

func TestCardsSuite(t *testing.T) {
	for name, uris := range cardModules() {
		t.Run(name, func(t *testing.T) {
			module := cardModule(t, name)
			signertest.Run(t, signertest.Config{Setup: func(t *testing.T) signertest.Device {
				c, keys := cardWithKeys(t)
				return signertest.Device{
					Backend: backend(t, module),
					URI:     parse(t, uris["9a"]), Public: keys["9a"],
					Second: parse(t, uris["9c"]), SecondPublic: keys["9c"],
					Kind: signer.PIN, Secret: cardPIN, Wrong: "999999",
					Missing:   parse(t, uris["9d"]),
					TriesLeft: func(*testing.T) int { return c.PINLeft() },
				}
			}})
		})
	}
}

// The key that wants its PIN for each signature: one question, and each signature good.
func TestCardsAlwaysAuthenticate(t *testing.T) {
	for name, uris := range cardModules() {
		t.Run(name, func(t *testing.T) {
			_, keys := cardWithKeys(t)
			ui := signertest.NewUI(signer.PIN, cardPIN)
			s := opened(t, backend(t, cardModule(t, name)), signer.Ref{URI: parse(t, uris["9c"]), Pinned: keys["9c"]}, ui)
			for range 3 {
				signs(t, s)
			}
			if n := len(ui.Secrets()); n != 1 {
				t.Errorf("asked for the PIN %d times", n)
			}
		})
	}
}

// A wrong PIN for a key that wants it each time costs one try, not one at each login.
func TestCardsWrongPINOnce(t *testing.T) {
	for name, uris := range cardModules() {
		t.Run(name, func(t *testing.T) {
			c, keys := cardWithKeys(t)
			before := c.PINLeft()
			s := opened(t, backend(t, cardModule(t, name)), signer.Ref{URI: parse(t, uris["9c"]), Pinned: keys["9c"]}, signertest.NewUI(signer.PIN, "999999"))
			refuses(t, s, signer.ErrPINIncorrect)
			refuses(t, s, signer.ErrPINIncorrect)
			if left := c.PINLeft(); left != before-1 {
				t.Errorf("%d of %d tries left after one wrong PIN", left, before)
			}
		})
	}
}
