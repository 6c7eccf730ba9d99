// Package wiresig knows the three forms in which a signature stands in TUF metadata
// that deployed agents (go-tuf v0.5.2) accept, and verifies them:
//
//	Ed25519      64 bytes over the message (RFC 8032)
//	ECDSA P-256  ASN.1 DER {r, s} over SHA-256 of the message; never raw r||s
//	RSA          PSS over SHA-256 (RFC 8017); what we make has a salt of 32 bytes
package wiresig

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
)

// ErrBadSignature: the signature is not one of this key over this message.
var ErrBadSignature = errors.New("signature does not verify")

// Verify checks sig over the whole message. A kind of key that agents refuse is an
// error too.
func Verify(pub crypto.PublicKey, message, sig []byte) error {
	ok := false
	switch k := pub.(type) {
	case ed25519.PublicKey:
		ok = len(k) == ed25519.PublicKeySize && ed25519.Verify(k, message, sig)
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() {
			return fmt.Errorf("curve %s: agents accept P-256 only", k.Curve.Params().Name)
		}
		digest := sha256.Sum256(message)
		ok = ecdsa.VerifyASN1(k, digest[:], sig)
	case *rsa.PublicKey:
		digest := sha256.Sum256(message)
		ok = rsa.VerifyPSS(k, crypto.SHA256, digest[:], sig, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthAuto}) == nil
	default:
		return fmt.Errorf("public key of type %T: agents accept Ed25519, P-256 and RSA", pub)
	}
	if !ok {
		return ErrBadSignature
	}
	return nil
}

// Sign signs with a key held in memory, in wire form.
func Sign(key crypto.Signer, message []byte) ([]byte, error) {
	if k, ok := key.(ed25519.PrivateKey); ok {
		return ed25519.Sign(k, message), nil
	}
	digest := sha256.Sum256(message)
	if k, ok := key.(*rsa.PrivateKey); ok {
		return rsa.SignPSS(rand.Reader, k, crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
	}
	return key.Sign(rand.Reader, digest[:], crypto.SHA256)
}

// Fingerprint is the SHA-256 of the key's SubjectPublicKeyInfo (RFC 5280), hex: the
// same for one key whatever metadata calls it.
func Fingerprint(pub crypto.PublicKey) string {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}
