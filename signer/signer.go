package signer

import (
	"context"
	"crypto"
	"errors"
	"io"
	"maps"
	"slices"
)

// Ref says which key is wanted: where it is, and, when that is known already,
// which key it must be.
type Ref struct {
	// URI names the key; its query may name a module or the source of a PIN.
	URI URI
	// Pinned is the public key that root names, or nil for a key that nobody knows
	// yet. A backend that finds another key under the URI answers with
	// *KeyChangedError before it asks for any secret it does not need for looking.
	Pinned crypto.PublicKey
	// Roles are the roles the key signs for in this command; shown in prompts and
	// used to choose the environment variable of a secret.
	Roles []string
}

// Signer signs with one key. It is safe for concurrent use.
type Signer interface {
	// URI names the key in canonical form.
	URI() URI
	// Public is *ecdsa.PublicKey, *rsa.PublicKey or ed25519.PublicKey. Nil as long
	// as only the secret could tell (a key file that was not pinned); see Unlocker.
	Public() crypto.PublicKey
	// Sign signs the whole message and returns the signature as it stands in TUF
	// metadata, verified with Public. When ctx ends it returns; a device that does
	// not answer is abandoned, and the signer refuses further use.
	Sign(ctx context.Context, message []byte) ([]byte, error)
	// Close gives the key back. It is idempotent.
	Close() error
}

// Unlocker is a Signer that can ask for its secret ahead of the first signature.
type Unlocker interface {
	Unlock(ctx context.Context) error
}

// Backend opens the keys of one scheme. Backends keep what is shared between keys
// (an unlocked file, a login on a token) until they are closed with io.Closer.
type Backend interface {
	// Open finds the key and its public part. It asks for no secret where the
	// device shows public keys without one, or where Ref.Pinned spares the look.
	Open(ctx context.Context, ref Ref, ui UI) (Signer, error)
}

// Backends maps a URI scheme to the backend that serves it.
type Backends map[string]Backend

// Open opens the key that ref names. An unknown scheme is *UnsupportedError.
func (b Backends) Open(ctx context.Context, ref Ref, ui UI) (Signer, error) {
	be, err := b.For(ref.URI)
	if err != nil {
		return nil, err
	}
	return be.Open(ctx, ref, ui)
}

// For gives the backend of a URI.
func (b Backends) For(u URI) (Backend, error) {
	be, ok := b[u.Scheme]
	if !ok {
		return nil, &UnsupportedError{What: "keys of the kind " + u.Scheme + ":", Why: "this build has no such backend"}
	}
	return be, nil
}

// Attester joins the back ends that prove where a key was born: a device is asked through
// its own, a stored chain holds if one of them says so. False if none does.
func (b Backends) Attester() (Attester, bool) {
	var all attesters
	for _, scheme := range slices.Sorted(maps.Keys(b)) {
		if a, ok := b[scheme].(Attester); ok {
			all.list = append(all.list, a)
		}
	}
	all.of = b
	return all, len(all.list) > 0
}

type attesters struct {
	of   Backends
	list []Attester
}

func (a attesters) Attest(ctx context.Context, ref Ref, extraRoots []byte) (Attestation, error) {
	be, err := a.of.For(ref.URI)
	if err != nil {
		return Attestation{}, err
	}
	one, ok := be.(Attester)
	if !ok {
		return Attestation{}, &UnsupportedError{What: "attestation of " + ref.URI.Scheme + ":", Why: "this kind of key has no certificate of its birth"}
	}
	return one.Attest(ctx, ref, extraRoots)
}

func (a attesters) VerifyAttestation(chainPEM, extraRoots []byte) (Attestation, error) {
	var first error
	for _, one := range a.list {
		proof, err := one.VerifyAttestation(chainPEM, extraRoots)
		if err == nil {
			return proof, nil
		}
		if first == nil {
			first = err
		}
	}
	return Attestation{}, first
}

// Close closes every backend that holds something.
func (b Backends) Close() error {
	var errs []error
	for _, be := range b {
		if c, ok := be.(io.Closer); ok {
			errs = append(errs, c.Close())
		}
	}
	return errors.Join(errs...)
}
