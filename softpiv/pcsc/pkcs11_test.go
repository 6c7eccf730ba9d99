//go:build cgo

package pcsc_test

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/softpiv/card"
)

// prepare makes a key in 9a (PIN once) and one in 9c (PIN always, touch always), each
// with a certificate: a key without one is invisible to OpenSC.
func (b bench) prepare() {
	b.Helper()
	for slot, policy := range map[string]string{"9a": "once", "9c": "always"} {
		touch := map[string]string{"9a": "never", "9c": "always"}[slot]
		b.run("yubico-piv-tool", "-a", "generate", "-s", slot, "-A", "ECCP256", "--pin-policy="+policy, "--touch-policy="+touch, "-o", slot+".pub")
		b.run("yubico-piv-tool", "-a", "attest", "-s", slot, "-o", slot+".pem")
		b.run("yubico-piv-tool", "-a", "import-certificate", "-s", slot, "-i", slot+".pem")
	}
	digest := sha256.Sum256([]byte("message"))
	b.write("digest", digest[:])
}

// checkSignature verifies the file "sig" (DER) with the key of a slot.
func (b bench) checkSignature(slot string) {
	b.Helper()
	block, _ := pem.Decode(b.read(slot + ".pub"))
	pub, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		b.Fatal(err)
	}
	digest := sha256.Sum256([]byte("message"))
	if sig := b.read("sig"); !ecdsa.VerifyASN1(pub.(*ecdsa.PublicKey), digest[:], sig) {
		b.Errorf("slot %s: the signature does not verify: %x", slot, sig)
	}
}

// signThrough signs with both keys through a PKCS#11 module; the second key needs
// the PIN again for every signature (CKU_CONTEXT_SPECIFIC).
func (b bench) signThrough(module string) {
	b.Helper()
	for slot, id := range map[string]string{"9a": "01", "9c": "02"} {
		b.run("pkcs11-tool", "--module", module, "--login", "--pin", "123456", "--sign", "-m", "ECDSA", "--id", id,
			"-i", "digest", "-o", "sig", "--signature-format", "openssl")
		b.checkSignature(slot)
	}
}

func TestYKCS11(t *testing.T) {
	t.Parallel()
	need(t, "pkcs11-tool")
	need(t, "yubico-piv-tool")
	module := needModule(t, "libykcs11.so")
	for _, v := range firmwares() {
		t.Run(versionOf(v), func(t *testing.T) {
			t.Parallel()
			c := newCard(t, card.Config{Firmware: v, Serial: 15835999})
			legacyManagementKey(t, c)
			b := serve(t, c)
			b.prepare()
			if out := b.run("pkcs11-tool", "--module", module, "-L"); !strings.Contains(out, "YubiKey PIV #15835999") {
				t.Errorf("slots:\n%s", out)
			}
			b.signThrough(module)
			out := b.run("pkcs11-tool", "--module", module, "--login", "--pin", "123456", "-O")
			for _, want := range []string{"Private key for PIV Authentication", "Private key for Digital Signature", "X.509 Certificate for PIV Attestation"} {
				if !strings.Contains(out, want) {
					t.Errorf("objects lack %q:\n%s", want, out)
				}
			}
			b.run("pkcs11-tool", "--module", module, "--login", "--login-type", "so", "--so-pin",
				"010203040506070801020304050607080102030405060708", "--keypairgen", "--key-type", "EC:prime256v1", "--id", "5")
			if out, err := b.try("pkcs11-tool", "--module", module, "--login", "--pin", "111111", "-O"); err == nil || !strings.Contains(out, "CKR_PIN_INCORRECT") {
				t.Errorf("wrong PIN: %v\n%s", err, out)
			}
			if c.PINLeft() != 2 {
				t.Errorf("%d tries left after one wrong PIN", c.PINLeft())
			}
		})
	}
}

func TestOpenSC(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"piv-tool", "opensc-tool", "pkcs15-tool", "pkcs15-crypt", "pkcs11-tool", "yubico-piv-tool"} {
		need(t, tool)
	}
	module := needModule(t, "opensc-pkcs11.so")
	for _, v := range firmwares() {
		t.Run(versionOf(v), func(t *testing.T) {
			t.Parallel()
			c := newCard(t, card.Config{Firmware: v})
			legacyManagementKey(t, c)
			b := serve(t, c)
			b.prepare()
			b.listWithOpenSC()
			b.run("pkcs15-tool", "--verify-pin", "--pin", "123456")
			b.signThrough(module)
			b.run("pkcs15-crypt", "--sign", "-k", "01", "--pin", "123456", "-i", "digest", "-o", "sig", "--sha-256", "-f", "openssl")
			b.checkSignature("9a")
			if out, err := b.try("pkcs15-tool", "--verify-pin", "--pin", "111111"); err == nil {
				t.Errorf("wrong PIN taken:\n%s", out)
			}
			if c.PINLeft() != 2 {
				t.Errorf("%d tries left after one wrong PIN", c.PINLeft())
			}
		})
	}
}

// listWithOpenSC reads what is on the card, and writes one certificate as its
// administrator.
func (b bench) listWithOpenSC() {
	b.Helper()
	expect := func(want string, args ...string) {
		b.Helper()
		if out := b.run(args...); !strings.Contains(out, want) {
			b.Errorf("%q lacks %q:\n%s", args, want, out)
		}
	}
	expect("Yubico YubiKey OTP+FIDO+CCID 00 00", "opensc-tool", "-l")
	expect("Personal Identity Verification Card", "piv-tool", "-n")
	expect("YubiKey PIV Attestation 9a", "pkcs11-tool", "--module", needModule(b, "opensc-pkcs11.so"), "-O", "--type", "cert")
	expect("Certificate for Digital Signature", "pkcs15-tool", "--list-certificates")
	expect("SIGN key", "pkcs15-tool", "--list-keys")
	b.write("management", []byte("01:02:03:04:05:06:07:08:01:02:03:04:05:06:07:08:01:02:03:04:05:06:07:08"))
	admin := b
	admin.env = append(admin.env[:len(admin.env):len(admin.env)], "PIV_EXT_AUTH_KEY="+b.path("management"))
	// piv-tool 0.23 ends with the number of bytes written as its status.
	_, _ = admin.try("piv-tool", "-A", "M:9B:03", "-C", "9E", "-i", "9a.pem")
	expect("Certificate for Card Authentication", "pkcs15-tool", "--list-certificates")
}
