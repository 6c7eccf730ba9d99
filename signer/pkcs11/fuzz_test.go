package pkcs11

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"encoding/asn1"
	"math/big"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/internal/wiresig"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

// FuzzDecodeEC: whatever a module gives for a point and a curve, the answer is a key
// that can be used, or an error.
func FuzzDecodeEC(f *testing.F) {
	key := newP256(f)
	raw, _ := key.PublicKey.Bytes()
	f.Add(false, oidP256, append([]byte{0x04, 0x41}, raw...))
	f.Add(false, oidP256, raw)
	f.Add(false, []byte(nil), raw[1:])
	f.Add(true, nameEd25519, append([]byte{0x04, 0x20}, raw[1:33]...))
	f.Add(true, oidEd25519, raw[1:33])
	f.Add(false, oidEd25519Old, append([]byte{0x03, 0x21, 0x00}, raw[1:33]...))
	f.Add(false, []byte{0x30, 0x00}, []byte{0x04})
	f.Fuzz(func(t *testing.T, edwards bool, params, point []byte) {
		pub, err := decodeEC(edwards, params, point)
		if err != nil {
			if pub != nil {
				t.Fatal("a key came with the error")
			}
			return
		}
		a, err := signer.AlgorithmOf(pub)
		if err != nil {
			t.Fatalf("decoded a key that cannot be used: %v", err)
		}
		switch k := pub.(type) {
		case *ecdsa.PublicKey:
			if a != signer.P256 {
				t.Fatalf("a P-256 key of the algorithm %s", a)
			}
			if _, err := k.Bytes(); err != nil {
				t.Fatalf("a point that is not on its curve: %v", err)
			}
		case ed25519.PublicKey:
			if len(k) != ed25519.PublicKeySize {
				t.Fatalf("an Ed25519 key of %d bytes", len(k))
			}
		}
		if wiresig.Fingerprint(pub) == "" {
			t.Fatal("a key without a fingerprint")
		}
	})
}

// FuzzSignatureForms: whatever a module answers, what is made of it is strict DER of two
// positive numbers, and there are not many readings.
func FuzzSignatureForms(f *testing.F) {
	one := make([]byte, 64)
	one[31], one[63] = 1, 0x80
	f.Add(one)
	f.Add(make([]byte, 64))
	f.Add(appendElement(nil, tagOctets, one))
	f.Add([]byte{0x30, 0x81, 0x06, 0x02, 0x01, 0x01, 0x02, 0x01, 0x02})
	f.Add([]byte{1, 2, 3})
	pub := &newP256(f).PublicKey
	f.Fuzz(func(t *testing.T, raw []byte) {
		forms := wireForms(pub, raw)
		if len(forms) > 80 {
			t.Fatalf("%d readings of %x", len(forms), raw)
		}
		for _, der := range forms {
			var got struct{ R, S *big.Int }
			if rest, err := asn1.Unmarshal(der, &got); err != nil || len(rest) > 0 || got.R.Sign() <= 0 || got.S.Sign() <= 0 {
				t.Fatalf("%x from %x: %v", der, raw, err)
			}
		}
	})
}

// FuzzDecodeRSA: never a panic, never a key that Go cannot use.
func FuzzDecodeRSA(f *testing.F) {
	f.Add(make([]byte, 256), []byte{1, 0, 1})
	f.Add([]byte{0xff}, []byte{})
	f.Fuzz(func(t *testing.T, n, e []byte) {
		pub, err := decodeRSA(n, e)
		if err == nil && (pub.E < 3 || pub.N.Sign() <= 0) {
			t.Fatalf("modulus of %d bits, exponent %d", pub.N.BitLen(), pub.E)
		}
	})
}

// FuzzAttributes: simple attribute values of any length.
func FuzzAttributes(f *testing.F) {
	f.Add([]byte{1, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff})
	f.Add([]byte("fleet   \x00"))
	f.Fuzz(func(t *testing.T, v []byte) {
		if b := decodeBool(v); b != nil && len(v) != 1 {
			t.Fatal("a boolean of another length than 1")
		}
		if n, ok := decodeULong(v); ok && len(v) == 4 && n > 0xffffffff {
			t.Fatal("4 bytes became more")
		}
		_ = unavailable(v)
		if c := clean(string(v)); clean(c) != c {
			t.Fatalf("cleaning %q twice differs", v)
		}
	})
}
