package meta

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"slices"

	"github.com/secure-systems-lab/go-securesystemslib/cjson"
	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/internal/wiresig"
)

// Key is a public key as root names it.
type Key struct {
	// ID is what root calls the key. For our own keys it is the SHA-256 of the
	// canonical key object (TUF spec, section 4.2); for keys of others it is kept as
	// it stands, never computed again.
	ID     tuf.KeyID
	Public crypto.PublicKey
	object *metadata.Key
}

// ShortID is the beginning of the key ID, enough to tell keys apart on a screen.
func (k Key) ShortID() string { return k.ID.Short() }

// Type and Scheme give the key object's fields, such as "ecdsa-sha2-nistp256".
func (k Key) Type() string { return k.object.Type }

// Scheme gives the key object's scheme.
func (k Key) Scheme() string { return k.object.Scheme }

// Fingerprint is the SHA-256 of the SubjectPublicKeyInfo, hex; one public key has one
// fingerprint under whatever key ID.
func (k Key) Fingerprint() string { return wiresig.Fingerprint(k.Public) }

// NewKey makes the key object of a public key in the one form that go-tuf v0.5.2,
// v0.7.0 and v2 all accept: Ed25519 as hex; P-256 with keytype and scheme
// "ecdsa-sha2-nistp256" (never "ecdsa", which stops every deployed agent) and RSA
// (2048, 3072 or 4096 bits) as PEM SubjectPublicKeyInfo; keyid_hash_algorithms
// present. Other keys are ErrKey.
func NewKey(pub crypto.PublicKey) (Key, error) {
	o := &metadata.Key{UnrecognizedFields: map[string]any{"keyid_hash_algorithms": []any{"sha256", "sha512"}}}
	switch k := pub.(type) {
	case ed25519.PublicKey:
		o.Type, o.Scheme, o.Value.PublicKey = tuf.TypeEd25519, tuf.TypeEd25519, hex.EncodeToString(k)
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() {
			return Key{}, fmt.Errorf("%w: curve %s; agents accept P-256", ErrKey, k.Curve.Params().Name)
		}
		o.Type, o.Scheme = tuf.TypeP256, tuf.TypeP256
	case *rsa.PublicKey:
		if n := k.N.BitLen(); n != 2048 && n != 3072 && n != 4096 {
			return Key{}, fmt.Errorf("%w: RSA of %d bits; 2048, 3072 and 4096 are accepted", ErrKey, n)
		}
		o.Type, o.Scheme = tuf.TypeRSA, tuf.SchemePSS
	default:
		return Key{}, fmt.Errorf("%w: a public key of type %T", ErrKey, pub)
	}
	if o.Value.PublicKey == "" {
		der, err := x509.MarshalPKIXPublicKey(pub)
		if err != nil {
			return Key{}, fmt.Errorf("%w: %w", ErrKey, err)
		}
		o.Value.PublicKey = string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	}
	id, err := keyID(o)
	if err != nil {
		return Key{}, err
	}
	return Key{ID: id, Public: pub, object: o}, nil
}

func keyID(o *metadata.Key) (tuf.KeyID, error) {
	b, err := cjson.EncodeCanonical(o)
	if err != nil {
		return tuf.KeyID{}, err
	}
	sum := sha256.Sum256(b)
	return tuf.ParseKeyID(hex.EncodeToString(sum[:]))
}

// SameObject reports whether two keys stand in metadata in the same form.
func SameObject(a, b Key) bool {
	x, errX := cjson.EncodeCanonical(a.object)
	y, errY := cjson.EncodeCanonical(b.object)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// OwnID reports whether the key's ID is the one that its form gives it.
func (k Key) OwnID() bool {
	id, err := keyID(k.object)
	return err == nil && id == k.ID
}

// HasKey reports whether one of the keys has the ID.
func HasKey(keys []Key, id tuf.KeyID) bool {
	return slices.ContainsFunc(keys, func(k Key) bool { return k.ID == id })
}

// SameKeySet reports whether two lists hold the same keys, in whatever order.
func SameKeySet(a, b []Key) bool {
	sorted := func(keys []Key) []tuf.KeyID {
		return slices.SortedFunc(slices.Values(IDs(keys)), tuf.KeyID.Compare)
	}
	return slices.Equal(sorted(a), sorted(b))
}

// IDs gives the keys' IDs.
func IDs(keys []Key) []tuf.KeyID {
	out := make([]tuf.KeyID, 0, len(keys))
	for _, k := range keys {
		out = append(out, k.ID)
	}
	return out
}
