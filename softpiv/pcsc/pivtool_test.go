//go:build cgo

package pcsc_test

import (
	"crypto/aes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/softpiv/card"
)

func firmwares() [][3]byte { return [][3]byte{{4, 3, 7}, {5, 4, 3}, {5, 7, 1}} }

func versionOf(v [3]byte) string { return fmt.Sprintf("%d.%d.%d", v[0], v[1], v[2]) }

// factoryKey is the management key of a new card.
func factoryKey() []byte {
	return []byte{1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8}
}

// legacyManagementKey makes the management key of a 5.7 card 3DES, as on older ones:
// yubico-piv-tool and ykcs11 2.2.0 know no other kind.
func legacyManagementKey(t testing.TB, c *card.Card) {
	t.Helper()
	if c.Firmware()[0] == 5 && c.Firmware()[1] < 7 || c.Firmware()[0] < 5 {
		return
	}
	block, err := aes.NewCipher(factoryKey())
	if err != nil {
		t.Fatal(err)
	}
	raw(t, c, []byte{0, 0xA4, 4, 0, 5, 0xA0, 0, 0, 3, 8})
	challenge := raw(t, c, []byte{0, 0x87, 0x0A, 0x9B, 4, 0x7C, 2, 0x81, 0})
	response := make([]byte, 16)
	block.Encrypt(response, challenge[4:])
	raw(t, c, append([]byte{0, 0x87, 0x0A, 0x9B, 20, 0x7C, 18, 0x82, 16}, response...))
	raw(t, c, append([]byte{0, 0xFF, 0xFF, 0xFF, 27, 0x03, 0x9B, 24}, factoryKey()...))
	c.PowerOff()
}

// raw sends one command that must succeed and gives its data.
func raw(t testing.TB, c *card.Card, apdu []byte) []byte {
	t.Helper()
	out := c.Transmit(apdu)
	if n := len(out); n < 2 || out[n-2] != 0x90 || out[n-1] != 0 {
		t.Fatalf("%x: %x", apdu, out)
	}
	return out[:len(out)-2]
}

// parsePEM reads a certificate.
func parsePEM(t testing.TB, b []byte) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(b)
	if block == nil {
		t.Fatalf("no PEM: %q", b)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// TestYubicoPIVTool: Debian's yubico-piv-tool lists, verifies PINs, generates, signs,
// decrypts, attests and changes secrets. Its 2.2.0 cannot make certificates with
// OpenSSL 3 (Yubico/yubico-piv-tool issue 388), so the attestation serves as one.
func TestYubicoPIVTool(t *testing.T) {
	t.Parallel()
	need(t, "yubico-piv-tool")
	for _, v := range firmwares() {
		t.Run(versionOf(v), func(t *testing.T) {
			t.Parallel()
			c := newCard(t, card.Config{Firmware: v, Serial: 15835999})
			legacyManagementKey(t, c)
			b := serve(t, c)
			status := b.run("yubico-piv-tool", "-a", "status")
			for _, want := range []string{"Version:\t" + versionOf(v), "Serial Number:\t15835999", "PIN tries left:\t3"} {
				if !strings.Contains(status, want) {
					t.Errorf("status lacks %q:\n%s", want, status)
				}
			}
			useKeys(b, c)
			changeSecrets(b, c)
		})
	}
}

// useKeys makes keys of three kinds and uses them.
func useKeys(b bench, c *card.Card) {
	b.Helper()
	for slot, alg := range map[string]string{"9a": "ECCP256", "9c": "ECCP384", "9d": "RSA2048"} {
		b.run("yubico-piv-tool", "-a", "generate", "-s", slot, "-A", alg, "--touch-policy=always", "-o", slot+".pub")
		b.run("yubico-piv-tool", "-a", "attest", "-s", slot, "-o", slot+".pem")
		b.run("yubico-piv-tool", "-a", "import-certificate", "-s", slot, "-i", slot+".pem")
		b.run("yubico-piv-tool", "-a", "read-certificate", "-s", slot, "-o", slot+".back")
		if string(b.read(slot+".pem")) != string(b.read(slot+".back")) {
			b.Errorf("slot %s: another certificate came back", slot)
		}
		b.run("yubico-piv-tool", "-a", "verify-pin", "-P", "123456", "-a", "test-signature", "-s", slot, "-i", slot+".pem")
		b.checkAttestation(c, slot)
	}
	b.run("yubico-piv-tool", "-a", "verify-pin", "-P", "123456", "-a", "test-decipher", "-s", "9d", "-i", "9d.pem")
	if out, err := b.try("yubico-piv-tool", "-a", "test-signature", "-s", "9a", "-i", "9a.pem"); err == nil {
		b.Errorf("signed without a PIN:\n%s", out)
	}
}

// checkAttestation verifies the chain and that it is about the generated key.
func (b bench) checkAttestation(c *card.Card, slot string) {
	b.Helper()
	b.run("yubico-piv-tool", "-a", "read-certificate", "-s", "f9", "-o", "f9.pem")
	leaf, f9 := parsePEM(b, b.read(slot+".pem")), parsePEM(b, b.read("f9.pem"))
	if err := f9.CheckSignatureFrom(parsePEM(b, c.CAPEM())); err != nil {
		b.Errorf("f9: %v", err)
	}
	f9.BasicConstraintsValid, f9.IsCA = true, true // absent before firmware 5
	if err := leaf.CheckSignatureFrom(f9); err != nil {
		b.Errorf("slot %s: %v", slot, err)
	}
	block, _ := pem.Decode(b.read(slot + ".pub"))
	if string(block.Bytes) != string(leaf.RawSubjectPublicKeyInfo) {
		b.Errorf("slot %s: attestation of another key", slot)
	}
}

// changeSecrets changes PIN, PUK and management key, and spends tries.
func changeSecrets(b bench, c *card.Card) {
	b.Helper()
	b.run("yubico-piv-tool", "-a", "set-chuid", "-a", "set-ccc")
	b.run("yubico-piv-tool", "-a", "change-pin", "-P", "123456", "-N", "271828")
	b.run("yubico-piv-tool", "-a", "change-puk", "-P", "12345678", "-N", "31415926")
	for left := 2; left > 0; left-- {
		want := fmt.Sprintf("%d tries left", left)
		if out, err := b.try("yubico-piv-tool", "-a", "verify-pin", "-P", "111111"); err == nil || !strings.Contains(out, want) {
			b.Errorf("wrong PIN: %v, want %q:\n%s", err, want, out)
		}
	}
	b.run("yubico-piv-tool", "-a", "unblock-pin", "-P", "31415926", "-N", "123456")
	b.run("yubico-piv-tool", "-a", "verify-pin", "-P", "123456")
	key := "0102030405060708010203040506070801020304050607ab"
	b.run("yubico-piv-tool", "-a", "set-mgm-key", "-n", key)
	if out, err := b.try("yubico-piv-tool", "-a", "set-ccc"); err == nil {
		b.Errorf("the old management key still works:\n%s", out)
	}
	b.run("yubico-piv-tool", "-k"+key, "-a", "verify-pin", "-P", "123456", "-a", "pin-retries", "--pin-retries=8", "--puk-retries=6")
	if c.PINLeft() != 8 || c.PUKLeft() != 6 {
		b.Errorf("%d and %d tries, want 8 and 6", c.PINLeft(), c.PUKLeft())
	}
}
