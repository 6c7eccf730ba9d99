package card

import (
	"bytes"
	"slices"
)

// Quirk is a set of things that a card does otherwise than YubiKeys. One report from the
// field is one bit here, or one of [Feature], and one line in a table of tests.
type Quirk uint8

// The quirks.
const (
	PINComplexity   Quirk = 1 << iota // simple PINs and PUKs are 6985 (YubiKey 5.7, a policy of its owner)
	PINBeforeKey                      // without a PIN a slot but 9e is 6982, with a key in it or not (PivApplet)
	EmptyMetadata                     // metadata of a slot without a key, with origin 0 (PivApplet)
	BlankManagement                   // metadata of the management key is 9000 and nothing else
	ForgetsOnSelect                   // SELECT of the PIV applet ends what was proven, also where it was selected already
)

func (c *Card) has(q Quirk) bool { return c.cfg.Quirks&q != 0 }

// CanoKey is a card by canokeys.org: it carries a firmware number of YubiKey's and a serial
// number, has a 3DES management key whatever that number says, and neither SET PIN RETRIES
// nor a way to other kinds of management key. It does not attest to Yubico.
func CanoKey(serial uint32) Config {
	return Config{
		Serial: serial, Firmware: [3]byte{5, 7, 0}, Reader: "canokeys.org OpenPGP PIV OATH [CCID Interface] 00 00",
		Lacks: RetryCounters | AESManagement | Attestation,
	}
}

// PivApplet is arekinath's applet on a Java card: it asks for the PIN before it looks for a
// key, and has metadata for slots without one. It has no touch and no attestation.
func PivApplet() Config {
	return Config{
		Firmware: [3]byte{5, 4, 0}, Reader: "ACS ACR39U ICC Reader 00 00",
		Lacks: SerialNumber | Attestation | TouchPolicies | RetryCounters, Quirks: PINBeforeKey | EmptyMetadata,
	}
}

// simple reports whether a PIN is one that the complexity policy refuses: one character
// throughout, or a common one (YubiKey Technical Manual, "PIN complexity").
func simple(value []byte) bool {
	plain := bytes.TrimRight(value, "\xFF")
	same := !slices.ContainsFunc(plain, func(b byte) bool { return b != plain[0] })
	return same || slices.Contains([]string{
		"123456", "123123", "654321", "123321", "112233", "121212", "520520", "123654", "159753", "12345678", "1234567", "qwerty", "abc123",
		"password",
	}, string(plain))
}
