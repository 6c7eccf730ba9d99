package pkcs11

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"math/big"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/internal/wiresig"
)

// ber writes two integers with longer lengths than DER has them.
func ber(r, s []byte) []byte {
	body := append([]byte{0x02, 0x81, byte(len(r))}, r...)
	body = append(append(body, 0x02, 0x82, 0x00, byte(len(s))), s...)
	return append([]byte{0x30, 0x82, 0x00, byte(len(body))}, body...)
}

// Signatures in every form in which modules were seen to give them, and some more. 2,000
// of them, so that the rare ones, with zeros in front, are among them.
func TestSignaturesInOtherClothes(t *testing.T) {
	key := newP256(t)
	shorter := 0
	for i := range 2000 {
		message := []byte{byte(i), byte(i >> 8)}
		digest := sha256.Sum256(message)
		r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
		if err != nil {
			t.Fatal(err)
		}
		raw := append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
		der, _ := asn1.Marshal(struct{ R, S *big.Int }{r, s})
		short := append(r.Bytes(), s.Bytes()...)
		if len(short) < 64 {
			shorter++
		}
		verifies(t, key.Public(), "r and s", raw, message)
		verifies(t, key.Public(), "without leading zeros", short, message)
		if len(short) == 64 && i > 100 {
			continue // the others are read in one way only
		}
		for name, form := range map[string][]byte{
			"DER":                     der,
			"with a zero before each": append(append([]byte{0}, raw[:32]...), append([]byte{0}, raw[32:]...)...),
			"BER":                     ber(r.Bytes(), s.Bytes()),
			"integers without a sign": ber(raw[:32], raw[32:]),
			"DER in a full buffer":    append(bytes.Clone(der), make([]byte, 72-len(der))...),
			"in an octet string":      appendElement(nil, tagOctets, raw),
			"DER in an octet string":  appendElement(nil, tagOctets, der),
			"in a bit string":         appendElement(nil, tagBitString, append([]byte{0}, raw...)),
		} {
			verifies(t, key.Public(), name, form, message)
		}
	}
	if shorter == 0 {
		t.Error("none of 2,000 signatures was short: the test shows nothing")
	}
	t.Logf("%d of 2,000 signatures have leading zeros", shorter)
}

// verifies wants one of the forms of a module's answer to verify.
func verifies(t *testing.T, pub crypto.PublicKey, name string, form, message []byte) {
	t.Helper()
	for _, sig := range wireForms(pub, form) {
		if wiresig.Verify(pub, message, sig) == nil {
			return
		}
	}
	t.Errorf("%s: no form of %x verifies", name, form)
}

func TestSignaturesOfOtherKeysInOtherClothes(t *testing.T) {
	message := []byte("a message")
	pub, private, _ := ed25519.GenerateKey(rand.Reader)
	sig := ed25519.Sign(private, message)
	for name, form := range map[string][]byte{
		"bare": sig, "in an octet string": appendElement(nil, tagOctets, sig), "in a bit string": appendElement(nil, tagBitString, append([]byte{0}, sig...)),
		"long length": append([]byte{0x04, 0x81, 0x40}, sig...),
	} {
		verifies(t, pub, "Ed25519 "+name, form, message)
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256(message)
	for short := false; !short; {
		sig, err := rsa.SignPSS(rand.Reader, key, crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: 32})
		if err != nil {
			t.Fatal(err)
		}
		short = sig[0] == 0
		verifies(t, key.Public(), "RSA without leading zeros", bytes.TrimLeft(sig, "\x00"), message)
	}
}

// What verifies under no reading stays refused.
func TestSignaturesThatAreWrong(t *testing.T) {
	key := newP256(t)
	message := []byte("a message")
	digest := sha256.Sum256(message)
	r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	raw := append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	raw[40] ^= 1
	for _, form := range [][]byte{raw, nil, {0x30}, {0x30, 0x80, 0, 0}, ber(raw[:32], raw[32:])} {
		for _, sig := range wireForms(key.Public(), form) {
			if wiresig.Verify(key.Public(), message, sig) == nil {
				t.Errorf("%x verifies", form)
			}
		}
	}
}
