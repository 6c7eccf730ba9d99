package kms

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	stdsha "crypto/sha256"
	"errors"
	"fmt"
	"math/big"
	"sync/atomic"

	"github.com/fleet-hsm/fleet-hsm/internal/wiresig"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

// key is an open key: a public key that was compared with the pinned one.
type key struct {
	b      *Backend
	uri    signer.URI
	pub    crypto.PublicKey
	ui     signer.UI
	closed atomic.Bool
}

// URI implements signer.Signer.
func (k *key) URI() signer.URI { return k.uri }

// Public implements signer.Signer.
func (k *key) Public() crypto.PublicKey { return k.pub }

// Close implements signer.Signer. The next one to open the key reads its public part
// again.
func (k *key) Close() error {
	k.closed.Store(true)
	return nil
}

// Sign implements signer.Signer. Errors: *signer.KeyChangedError if there is another key
// now, or *signer.KeyError around *SignatureError and those of a call.
func (k *key) Sign(ctx context.Context, message []byte) ([]byte, error) {
	sig, err := k.sign(ctx, message)
	if err == nil {
		return sig, nil
	}
	k.b.forget(k.uri)
	var bad *SignatureError
	if errors.As(err, &bad) {
		err = k.whose(ctx, err)
	}
	return nil, failed("signing with key", k.uri, err)
}

func (k *key) sign(ctx context.Context, message []byte) ([]byte, error) {
	if k.closed.Load() {
		return nil, errClosed
	}
	c, a, err := k.b.do(ctx, k.uri, k.ui, methodSign, "", message)
	if err != nil {
		return nil, err
	}
	if a.Sign == nil || len(a.Sign.Signature) == 0 {
		return nil, c.wrong("holds no signature")
	}
	sig := a.Sign.Signature
	if wiresig.Verify(k.pub, message, sig) != nil {
		return nil, &SignatureError{Program: c.program, Reason: whatIs(k.pub, message, sig)}
	}
	return sig, nil
}

// whose looks whether a wrong signature is due to another key, which is there since the
// public key was read.
func (k *key) whose(ctx context.Context, bad error) error {
	pub, err := k.b.readPublic(ctx, k.uri, k.ui)
	if err != nil {
		return bad
	}
	if changed := same(signer.Ref{URI: k.uri, Pinned: k.pub}, pub); changed != nil {
		return changed
	}
	return bad
}

// whatIs names what came for a signature.
func whatIs(pub crypto.PublicKey, message, sig []byte) string {
	digest := stdsha.Sum256(message)
	switch p := pub.(type) {
	case *ecdsa.PublicKey:
		if n := len(sig); n == 64 && ecdsa.Verify(p, digest[:], new(big.Int).SetBytes(sig[:n/2]), new(big.Int).SetBytes(sig[n/2:])) {
			return "is r||s of 64 bytes; agents take ASN.1 DER only"
		}
	case *rsa.PublicKey:
		if rsa.VerifyPKCS1v15(p, crypto.SHA256, digest[:], sig) == nil {
			return "has the padding of PKCS#1 v1.5; agents take PSS only"
		}
	}
	return fmt.Sprintf("(%d bytes) does not verify with its public key over SHA-256 of the message", len(sig))
}
