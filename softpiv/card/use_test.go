package card

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"math/big"
	"testing"
)

// output uses a key and gives what came back.
func (cl client) output(alg, slot byte, tag uint32, input []byte) []byte {
	cl.t.Helper()
	items, ok := template(cl.want(swOK, insAuthenticate, alg, slot, tlv(0x7C, append(tlv(0x82, nil), tlv(tag, input)...))), 0x7C)
	if !ok || items[0].tag != 0x82 {
		cl.t.Fatal("malformed answer")
	}
	return items[0].value
}

// publicOf generates a key that needs nothing, and gives the elements of its public
// part: 86, or 81 and 82.
func (cl client) publicOf(alg byte) []item {
	cl.t.Helper()
	cl.manager()
	data := []byte{0xAC, 9, tagAlgorithm, 1, alg, tagPIN, 1, pinNever, tagTouch, 1, touchNever}
	items, ok := template(cl.want(swOK, insGenerate, 0, 0x95, data), 0x7F49)
	if !ok {
		cl.t.Fatal("malformed public key")
	}
	return items
}

func TestP384(t *testing.T) {
	t.Parallel()
	cl := plugIn(t, Config{Firmware: [3]byte{4, 3, 7}})
	pub, err := ecdsa.ParseUncompressedPublicKey(elliptic.P384(), cl.publicOf(algP384)[0].value)
	if err != nil {
		t.Fatal(err)
	}
	digest := bytes.Repeat([]byte{7}, 48)
	if !ecdsa.VerifyASN1(pub, digest, cl.output(algP384, 0x95, 0x81, digest)) {
		t.Error("the signature does not verify")
	}
}

func TestEd25519SignsTheMessage(t *testing.T) {
	t.Parallel()
	cl := plugIn(t, Config{})
	pub := ed25519.PublicKey(cl.publicOf(algEd25519)[0].value)
	for _, n := range []int{0, 1, 100, 1000, 3000} {
		message := bytes.Repeat([]byte{7}, n)
		if !ed25519.Verify(pub, message, cl.output(algEd25519, 0x95, 0x81, message)) {
			t.Errorf("%d bytes: the signature does not verify", n)
		}
	}
	cl.want(swLength, insAuthenticate, algEd25519, 0x95, signTemplate(make([]byte, maxInput)))
}

func TestAgreement(t *testing.T) {
	t.Parallel()
	cl := plugIn(t, Config{})
	for alg, curve := range map[byte]ecdh.Curve{algP256: ecdh.P256(), algP384: ecdh.P384(), algX25519: ecdh.X25519()} {
		theirs, err := curve.NewPublicKey(cl.publicOf(alg)[0].value)
		if err != nil {
			t.Fatal(err)
		}
		ours, err := curve.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		want, err := ours.ECDH(theirs)
		if err != nil {
			t.Fatal(err)
		}
		if got := cl.output(alg, 0x95, 0x85, ours.PublicKey().Bytes()); !bytes.Equal(got, want) {
			t.Errorf("algorithm %02x: secrets differ", alg)
		}
		cl.want(swData, insAuthenticate, alg, 0x95, tlv(0x7C, append(tlv(0x82, nil), tlv(0x85, make([]byte, 5))...)))
	}
}

// checkRSA verifies a PKCS #1 v1.5 signature made by the card.
func (cl client) checkRSA(pub *rsa.PublicKey, alg, slot byte) {
	cl.t.Helper()
	digest := sha256.Sum256([]byte("message"))
	// DigestInfo of SHA-256 (RFC 8017 section 9.2, note 1) under type 1 padding.
	info := append([]byte{0x30, 0x31, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0, 4, 0x20}, digest[:]...)
	padded := append([]byte{0, 1}, bytes.Repeat([]byte{0xFF}, pub.Size()-len(info)-3)...)
	padded = append(append(padded, 0), info...)
	if err := rsa.VerifyPKCS1v15(pub, crypto.SHA256, digest[:], cl.output(alg, slot, 0x81, padded)); err != nil {
		cl.t.Error(err)
	}
	cl.want(swData, insAuthenticate, alg, slot, signTemplate(padded[1:]))
	cl.want(swData, insAuthenticate, alg, slot, signTemplate(bytes.Repeat([]byte{0xFF}, pub.Size())))
}

func TestRSA(t *testing.T) {
	t.Parallel()
	cl := plugIn(t, Config{Firmware: [3]byte{5, 4, 3}})
	items := cl.publicOf(algRSA2048)
	n, _ := find(items, 0x81)
	e, _ := find(items, 0x82)
	pub := &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}
	if pub.N.BitLen() != 2048 || pub.E != 65537 {
		t.Fatalf("%d bits, exponent %d", pub.N.BitLen(), pub.E)
	}
	cl.checkRSA(pub, algRSA2048, 0x95)
}

func TestImportedKeysSign(t *testing.T) {
	t.Parallel()
	cl := plugIn(t, Config{})
	cl.manager()
	never := append(tlv(tagPIN, []byte{pinNever}), tlv(tagTouch, []byte{touchNever})...)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	data := append(tlv(0x01, key.Primes[0].Bytes()), tlv(0x02, key.Primes[1].Bytes())...)
	cl.want(swOK, insImport, algRSA2048, 0x82, append(data, never...))
	cl.checkRSA(&key.PublicKey, algRSA2048, 0x82)
	cl.want(swData, insImport, algRSA2048, 0x83, tlv(0x01, key.Primes[0].Bytes()))
	cl.want(swData, insImport, algRSA4096, 0x83, data)

	seed := bytes.Repeat([]byte{9}, ed25519.SeedSize)
	cl.want(swOK, insImport, algEd25519, 0x83, append(tlv(0x07, seed), never...))
	pub := ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)
	if !ed25519.Verify(pub, []byte("message"), cl.output(algEd25519, 0x83, 0x81, []byte("message"))) {
		t.Error("the signature of an imported Ed25519 key does not verify")
	}
	cl.want(swData, insImport, algEd25519, 0x83, tlv(0x07, seed[1:]))
	cl.want(swOK, insImport, algX25519, 0x84, append(tlv(0x08, seed), never...))
}
