package forge

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"

	"github.com/secure-systems-lab/go-securesystemslib/cjson"
	"github.com/theupdateframework/go-tuf/pkg/keys"
)

// Key is a key as it stands in root.json, with the way it signs.
type Key struct {
	// ID is the name under which root and signatures list it.
	ID string
	// Object is the JSON of the key in root.keys.
	Object json.RawMessage
	// Sign gives the signature of a message, in whatever form this key uses.
	Sign func(message []byte) ([]byte, error)
}

// object is the usual form of a key.
type object struct {
	Type   string            `json:"keytype"`
	Scheme string            `json:"scheme"`
	Hashes []string          `json:"keyid_hash_algorithms,omitempty"`
	Value  map[string]string `json:"keyval"`
	Extra  string            `json:"x-note,omitempty"`
}

func bothHashes() []string { return []string{"sha256", "sha512"} }

// key completes an object with the ID that go-tuf computes: SHA-256 of its canonical
// form.
func (o object) key(sign func([]byte) ([]byte, error)) Key {
	canonical, err := cjson.EncodeCanonical(o)
	if err != nil {
		panic(err) // strings only
	}
	raw, err := json.Marshal(o)
	if err != nil {
		panic(err)
	}
	sum := sha256.Sum256(canonical)
	return Key{ID: hex.EncodeToString(sum[:]), Object: raw, Sign: sign}
}

// FromSigner takes over a key of go-tuf v0.5.2.
func FromSigner(s keys.Signer) (Key, error) {
	public := s.PublicData()
	raw, err := json.Marshal(public)
	return Key{ID: public.IDs()[0], Object: raw, Sign: s.SignMessage}, err
}

// Ed25519 makes a key in the one form that everybody reads.
func Ed25519() Key { k, _ := ed25519Key(); return k }

func ed25519Key() (Key, ed25519.PrivateKey) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		panic(err)
	}
	o := object{Type: "ed25519", Scheme: "ed25519", Hashes: bothHashes(), Value: map[string]string{"public": hex.EncodeToString(public)}}
	return o.key(signEd25519(private)), private
}

func signEd25519(private ed25519.PrivateKey) func([]byte) ([]byte, error) {
	return func(message []byte) ([]byte, error) { return ed25519.Sign(private, message), nil }
}

// P256 makes a key as agents read it.
func P256() Key {
	private := ecKey(elliptic.P256())
	o := object{Type: oldP256, Scheme: oldP256, Hashes: bothHashes(), Value: pemValue(private.Public())}
	return o.key(signEC(private, crypto.SHA256))
}

const (
	oldP256 = "ecdsa-sha2-nistp256"
	oldP384 = "ecdsa-sha2-nistp384"
)

func ecKey(curve elliptic.Curve) *ecdsa.PrivateKey {
	private, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		panic(err)
	}
	return private
}

// signEC signs in ASN.1 DER.
func signEC(private *ecdsa.PrivateKey, hash crypto.Hash) func([]byte) ([]byte, error) {
	return func(message []byte) ([]byte, error) {
		return ecdsa.SignASN1(rand.Reader, private, digest(hash, message))
	}
}

// signRaw signs as PKCS#11 does: r and s side by side.
func signRaw(private *ecdsa.PrivateKey) func([]byte) ([]byte, error) {
	return func(message []byte) ([]byte, error) {
		r, s, err := ecdsa.Sign(rand.Reader, private, digest(crypto.SHA256, message))
		if err != nil {
			return nil, err
		}
		size := (private.Params().BitSize + 7) / 8
		raw := make([]byte, 2*size)
		r.FillBytes(raw[:size])
		s.FillBytes(raw[size:])
		return raw, nil
	}
}

func digest(hash crypto.Hash, message []byte) []byte {
	if hash == crypto.SHA384 {
		sum := sha512.Sum384(message)
		return sum[:]
	}
	sum := sha256.Sum256(message)
	return sum[:]
}

func rsaKey(bits int) *rsa.PrivateKey {
	private, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		panic(err)
	}
	return private
}

// signPSS signs with SHA-256 and the salt length given.
func signPSS(private *rsa.PrivateKey, salt int) func([]byte) ([]byte, error) {
	return func(message []byte) ([]byte, error) {
		return rsa.SignPSS(rand.Reader, private, crypto.SHA256, digest(crypto.SHA256, message), &rsa.PSSOptions{SaltLength: salt})
	}
}

func pemValue(public crypto.PublicKey) map[string]string {
	return map[string]string{"public": string(pemOf(public))}
}

func pemOf(public crypto.PublicKey) []byte {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		panic(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}
