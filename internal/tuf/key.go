package tuf

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
)

// The kinds of key that go-tuf v0.5.2 takes: keytype and scheme.
const (
	TypeEd25519 = "ed25519" // its scheme too
	TypeP256    = "ecdsa-sha2-nistp256"
	TypeRSA     = "rsa"
	SchemePSS   = "rsassa-pss-sha256"
)

// minRSA is the least number of bits of an RSA key.
const minRSA = 2048

// KeyObject is a key as root lists it.
type KeyObject struct {
	Type   string `json:"keytype"`
	Scheme string `json:"scheme"`
	Value  struct {
		Public string `json:"public"`
	} `json:"keyval"`
}

// KeyError: root lists a key that deployed agents refuse, and with it the whole root.
type KeyError struct {
	ID           KeyID
	Type, Scheme string
	Reason       string
}

func (e *KeyError) Error() string {
	return fmt.Sprintf("key %s (keytype %.40q, scheme %.40q): %s", e.ID.Short(), e.Type, e.Scheme, e.Reason)
}

// Public gives the public key of an object. Errors: *KeyError.
func (o *KeyObject) Public(id KeyID) (crypto.PublicKey, error) {
	if o == nil {
		return nil, &KeyError{ID: id, Reason: "it is empty"}
	}
	pub, why := o.public()
	if why != "" {
		return nil, &KeyError{id, o.Type, o.Scheme, why}
	}
	return pub, nil
}

// public refuses what go-tuf v0.5.2 refuses: one such key anywhere in a root stops every
// deployed agent. Short RSA keys it would take; nobody here ever made one.
func (o *KeyObject) public() (pub crypto.PublicKey, why string) {
	switch {
	case o.Type == TypeEd25519 && o.Scheme == TypeEd25519:
		b, err := hex.DecodeString(o.Value.Public)
		if err != nil || len(b) != ed25519.PublicKeySize {
			return nil, "the public part is not 64 hexadecimal characters"
		}
		return ed25519.PublicKey(b), ""
	case o.Type == TypeP256 && o.Scheme == TypeP256, o.Type == TypeRSA && o.Scheme == SchemePSS:
	default:
		return nil, "deployed agents refuse the whole root because of it"
	}
	block, _ := pem.Decode([]byte(o.Value.Public))
	if block == nil || block.Type != "PUBLIC KEY" {
		return nil, "the public part is not PEM of the type PUBLIC KEY"
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, err.Error()
	}
	switch p := parsed.(type) {
	case *ecdsa.PublicKey:
		if o.Type != TypeP256 || p.Curve != elliptic.P256() {
			return nil, "the public part is not a P-256 key"
		}
	case *rsa.PublicKey:
		if o.Type != TypeRSA || p.N.BitLen() < minRSA {
			return nil, fmt.Sprintf("the public part is not an RSA key of at least %d bits", minRSA)
		}
	default:
		return nil, "the public part is of another type"
	}
	return parsed, ""
}
