//go:build cgo

package pkcs11_test

import (
	"crypto"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/ThalesGroup/crypto11"

	"github.com/fleet-hsm/fleet-hsm/internal/wiresig"
	"github.com/fleet-hsm/fleet-hsm/signer"
	"github.com/fleet-hsm/fleet-hsm/softhsm"
)

// oracle opens a token with crypto11, today's usual Go answer: keys it makes must work
// with us, and keys we make must be found by it.
func oracle(t *testing.T, tok *softhsm.Token) *crypto11.Context {
	t.Helper()
	c, err := crypto11.Configure(&crypto11.Config{Path: tok.Module, TokenLabel: tok.Label, Pin: tok.PIN})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestOracleFindsOurKeys(t *testing.T) {
	tok := softhsm.New(t)
	ec, rsaKey := generate(t, tok, "ec", signer.P256), generate(t, tok, "rsa", signer.RSA2048)
	c := oracle(t, tok)
	defer c.Close()
	digest := sha256.Sum256([]byte("a message"))
	for label, made := range map[string]signer.Generated{"ec": ec, "rsa": rsaKey} {
		id, _ := made.URI.Attr("id")
		key, err := c.FindKeyPair([]byte(id), []byte(label))
		if err != nil || key == nil {
			t.Fatalf("crypto11 does not find %s: %v", label, err)
		}
		if !signer.SamePublic(made.Public[0], key.Public()) {
			t.Fatalf("crypto11 reads another public key of %s", label)
		}
		var opts crypto.SignerOpts = crypto.SHA256
		if label == "rsa" {
			opts = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}
		}
		sig, err := key.Sign(rand.Reader, digest[:], opts)
		if err != nil {
			t.Fatalf("crypto11 signing with %s: %v", label, err)
		}
		if err := wiresig.Verify(made.Public[0], []byte("a message"), sig); err != nil {
			t.Errorf("crypto11's signature with %s: %v", label, err)
		}
	}
}

func TestOracleMakesKeysForUs(t *testing.T) {
	tok := softhsm.New(t)
	c := oracle(t, tok)
	ec, err := c.GenerateECDSAKeyPairWithLabel([]byte{0xc1, 0x11}, []byte("ec"), elliptic.P256())
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := c.GenerateRSAKeyPairWithLabel([]byte{0xc1, 0x12}, []byte("rsa"), 2048)
	if err != nil {
		t.Fatal(err)
	}
	publics := map[string]crypto.PublicKey{"ec": ec.Public(), "rsa": rsaKey.Public()}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	b := backend(t, tok.Module)
	ui := person(tok)
	for label, public := range publics {
		pub := canSign(t, b, signer.Ref{URI: parse(t, tok.URI(label)), Pinned: public}, ui)
		if !signer.SamePublic(pub, public) {
			t.Errorf("%s: another public key", label)
		}
	}
	k, err := b.Describe(t.Context(), signer.Ref{URI: parse(t, "pkcs11:token=fleet;id=%c1%11")}, ui)
	if err != nil || k.Label != "ec" || hex.EncodeToString(k.ID) != "c111" {
		t.Errorf("by id: %+v, %v", k, err)
	}
}

// Both in one process, as in a program that already uses crypto11: neither may end the
// module under the other.
func TestOracleInTheSameProcess(t *testing.T) {
	tok := softhsm.New(t)
	made := generate(t, tok, "ec", signer.P256)
	c := oracle(t, tok)
	b := backend(t, tok.Module)
	canSign(t, b, signer.Ref{URI: made.URI}, person(tok))
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if key, err := c.FindKeyPair(nil, []byte("ec")); err != nil || key == nil {
		t.Errorf("crypto11 lost the module when our backend closed: %v", err)
	}
	// crypto11 finalises the module under our live signer.
	again := backend(t, tok.Module)
	s := opened(t, again, signer.Ref{URI: made.URI}, person(tok))
	signs(t, s)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	signs(t, s)
}
