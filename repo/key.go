package repo

import (
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

// key objects as go-tuf v0.5.2 writes them; the same bytes give the same key IDs.
const (
	typeEd25519 = "ed25519"
	typeP256    = "ecdsa-sha2-nistp256"
	typeRSA     = "rsa"
	schemePSS   = "rsassa-pss-sha256"
)

// NewKey makes the key object of a public key in the one form that go-tuf v0.5.2,
// v0.7.0 and v2 all accept: Ed25519 as hex; P-256 with keytype and scheme
// "ecdsa-sha2-nistp256" (never "ecdsa", which stops every deployed agent) and RSA
// (2048, 3072 or 4096 bits) as PEM SubjectPublicKeyInfo; keyid_hash_algorithms
// present. Other keys are ErrKey.
func NewKey(pub crypto.PublicKey) (Key, error) {
	o := &metadata.Key{UnrecognizedFields: map[string]any{"keyid_hash_algorithms": []any{"sha256", "sha512"}}}
	switch k := pub.(type) {
	case ed25519.PublicKey:
		o.Type, o.Scheme, o.Value.PublicKey = typeEd25519, typeEd25519, hex.EncodeToString(k)
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() {
			return Key{}, fmt.Errorf("%w: curve %s; agents accept P-256", ErrKey, k.Curve.Params().Name)
		}
		o.Type, o.Scheme = typeP256, typeP256
	case *rsa.PublicKey:
		if n := k.N.BitLen(); n != 2048 && n != 3072 && n != 4096 {
			return Key{}, fmt.Errorf("%w: RSA of %d bits; 2048, 3072 and 4096 are accepted", ErrKey, n)
		}
		o.Type, o.Scheme = typeRSA, schemePSS
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

// parseKey reads a key object that root names, and refuses what go-tuf v0.5.2 would
// refuse: one such key anywhere in a root stops every deployed agent (COMPAT 1.4).
func parseKey(name string, o *metadata.Key) (Key, error) {
	id, err := tuf.ParseKeyID(name)
	if err != nil {
		return Key{}, err
	}
	if o == nil {
		return Key{}, fmt.Errorf("%w: key %s is empty", ErrKey, id.Short())
	}
	bad := func(why string) (Key, error) {
		return Key{}, fmt.Errorf("%w: key %s (keytype %q, scheme %q): %s", ErrKey, id.Short(), o.Type, o.Scheme, why)
	}
	k := Key{ID: id, object: o}
	switch {
	case o.Type == typeEd25519 && o.Scheme == typeEd25519:
		b, err := hex.DecodeString(o.Value.PublicKey)
		if err != nil || len(b) != ed25519.PublicKeySize {
			return bad("the public part is not 64 hexadecimal characters")
		}
		k.Public = ed25519.PublicKey(b)
		return k, nil
	case o.Type == typeP256 && o.Scheme == typeP256, o.Type == typeRSA && o.Scheme == schemePSS:
	default:
		return bad("deployed agents refuse the whole root because of it")
	}
	block, _ := pem.Decode([]byte(o.Value.PublicKey))
	if block == nil || block.Type != "PUBLIC KEY" {
		return bad("the public part is not PEM of the type PUBLIC KEY")
	}
	pub, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return bad(err.Error())
	}
	switch p := pub.(type) {
	case *ecdsa.PublicKey:
		if o.Type != typeP256 || p.Curve != elliptic.P256() {
			return bad("the public part is not a P-256 key")
		}
	case *rsa.PublicKey:
		if o.Type != typeRSA || p.N.BitLen() < 2048 {
			return bad("the public part is not an RSA key of at least 2048 bits")
		}
	default:
		return bad("the public part is of another type")
	}
	k.Public = pub
	return k, nil
}
