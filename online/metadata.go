package online

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/fleet-hsm/fleet-hsm/internal/canonjson"
	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/internal/wiresig"
)

const (
	roleRoot      = "root"
	roleTargets   = "targets"
	roleSnapshot  = "snapshot"
	roleTimestamp = "timestamp"
)

// Limits of the deployed client (go-tuf v0.5.2), in bytes; snapshot has none there.
const (
	maxRoot      = 512000
	maxTimestamp = 16384
	maxSnapshot  = 4 << 20
	// maxRootSteps is how many new roots that client follows in one update.
	maxRootSteps = 1000
)

type signature struct {
	KeyID tuf.KeyID `json:"keyid"`
	Sig   string    `json:"sig"`
}

// fileMeta names another file (TUF spec 4.4).
type fileMeta struct {
	Version int64             `json:"version"`
	Length  int64             `json:"length,omitempty"`
	Hashes  map[string]string `json:"hashes,omitempty"`
}

type keyObject struct {
	Type   string `json:"keytype"`
	Scheme string `json:"scheme"`
	Value  struct {
		Public string `json:"public"`
	} `json:"keyval"`
}

type roleObject struct {
	KeyIDs    []tuf.KeyID `json:"keyids"`
	Threshold int         `json:"threshold"`
}

// header holds the fields of the signed part that matter here, of any role. The
// targets themselves are not among them, so they are not kept.
type header struct {
	Type       string                  `json:"_type"`
	Version    int64                   `json:"version"`
	Expires    time.Time               `json:"expires"`
	Meta       map[string]fileMeta     `json:"meta"`
	Keys       map[tuf.KeyID]keyObject `json:"keys"`
	Roles      map[string]roleObject   `json:"roles"`
	Consistent bool                    `json:"consistent_snapshot"`
}

// file is a parsed metadata file.
type file struct {
	header
	data       []byte
	message    []byte // canonical form of the signed part
	signatures []signature
}

var errWrongRole = errors.New("it is of another role")

// parse reads a file of the given role. Nothing is verified yet.
func parse(data []byte, role string) (*file, error) {
	var env struct {
		Signed     view        `json:"signed"`
		Signatures []signature `json:"signatures"`
	}
	if err := json.Unmarshal(data, &env); err != nil {
		return nil, fmt.Errorf("not metadata: %w", err)
	}
	for _, s := range env.Signatures {
		if s.KeyID.IsZero() {
			return nil, errors.New("not metadata: a signature has no key ID")
		}
	}
	f := &file{data: data, signatures: env.Signatures}
	if err := json.Unmarshal(env.Signed, &f.header); err != nil {
		return nil, fmt.Errorf("not metadata: %w", err)
	}
	if f.Type != role {
		return nil, errWrongRole
	}
	if f.Version < 1 || f.Expires.IsZero() {
		return nil, errors.New("not metadata: no version or no expiry")
	}
	var err error
	if f.message, err = canonjson.Encode(env.Signed); err != nil {
		return nil, fmt.Errorf("no canonical form: %w", err)
	}
	return f, nil
}

// view is a part of the JSON that it was decoded from, not a copy, which of a
// targets.json would be tens of megabytes: the bytes are ours and stay as they are.
type view []byte

// UnmarshalJSON implements json.Unmarshaler.
func (v *view) UnmarshalJSON(b []byte) error {
	*v = b
	return nil
}

// fits says why data is not the file that m names, or nil. An unknown hash alone
// names nothing.
func (m fileMeta) fits(data []byte) error {
	if m.Length > 0 && int64(len(data)) != m.Length {
		return fmt.Errorf("%d bytes long, not %d", len(data), m.Length)
	}
	known := len(m.Hashes) == 0
	if want, ok := m.Hashes["sha512"]; ok {
		known = true
		if sha512Hex(data) != want {
			return errors.New("its SHA-512 is another")
		}
	}
	if want, ok := m.Hashes["sha256"]; ok {
		known = true
		if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != want {
			return errors.New("its SHA-256 is another")
		}
	}
	if !known {
		return errors.New("no hash that is known here names it")
	}
	return nil
}

// same reports whether both name the same file, by its hash.
func (m fileMeta) same(o fileMeta) bool {
	return m.Version == o.Version && len(m.Hashes) > 0 && maps.Equal(m.Hashes, o.Hashes)
}

func sha512Hex(data []byte) string {
	sum := sha512.Sum512(data)
	return hex.EncodeToString(sum[:])
}

// roleKeys are the keys of a role: by key ID, and how many must sign.
type roleKeys struct {
	keys      map[tuf.KeyID]crypto.PublicKey
	threshold int
	// print tells one set of keys from another.
	print string
}

// root is a root.json with its keys parsed.
type root struct {
	*file
	roles map[string]roleKeys
}

// parseRoot reads a root. Any key that deployed agents do not know makes them refuse
// the whole file, so it does here.
func parseRoot(data []byte) (*root, error) {
	f, err := parse(data, roleRoot)
	if err != nil {
		return nil, err
	}
	all := map[tuf.KeyID]crypto.PublicKey{}
	for id, k := range f.Keys {
		if all[id], err = parseKey(k); err != nil {
			return nil, fmt.Errorf("key %s: %w", id.Short(), err)
		}
	}
	r := &root{file: f, roles: map[string]roleKeys{}}
	for _, name := range []string{roleRoot, roleTargets, roleSnapshot, roleTimestamp} {
		if r.roles[name], err = parseRole(f.Roles[name], all); err != nil {
			return nil, fmt.Errorf("role %s: %w", name, err)
		}
	}
	return r, nil
}

func parseRole(o roleObject, all map[tuf.KeyID]crypto.PublicKey) (roleKeys, error) {
	rk := roleKeys{keys: map[tuf.KeyID]crypto.PublicKey{}, threshold: o.Threshold}
	if o.Threshold < 1 || len(o.KeyIDs) < o.Threshold {
		return rk, fmt.Errorf("threshold %d of %d keys", o.Threshold, len(o.KeyIDs))
	}
	print := sha256.New()
	fmt.Fprintln(print, o.Threshold)
	for _, id := range o.KeyIDs {
		pub, ok := all[id]
		if !ok {
			return rk, fmt.Errorf("key %s is not listed", id.Short())
		}
		rk.keys[id] = pub
		fmt.Fprintln(print, id, wiresig.Fingerprint(pub))
	}
	rk.print = hex.EncodeToString(print.Sum(nil))
	return rk, nil
}

// parseKey knows the forms of a key that go-tuf v0.5.2 accepts.
func parseKey(k keyObject) (crypto.PublicKey, error) {
	if k.Type == "ed25519" && k.Scheme == "ed25519" {
		raw, err := hex.DecodeString(k.Value.Public)
		if err != nil || len(raw) != ed25519.PublicKeySize {
			return nil, errors.New("not an Ed25519 key")
		}
		return ed25519.PublicKey(raw), nil
	}
	block, _ := pem.Decode([]byte(k.Value.Public))
	if block == nil {
		return nil, fmt.Errorf("keytype %q with scheme %q and no PEM: agents refuse it", k.Type, k.Scheme)
	}
	pub, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	switch p := pub.(type) {
	case *ecdsa.PublicKey:
		if k.Type == "ecdsa-sha2-nistp256" && k.Scheme == k.Type && p.Curve == elliptic.P256() {
			return p, nil
		}
	case *rsa.PublicKey:
		if k.Type == "rsa" && k.Scheme == "rsassa-pss-sha256" {
			return p, nil
		}
	}
	return nil, fmt.Errorf("keytype %q with scheme %q: agents refuse it", k.Type, k.Scheme)
}

// verify counts the signatures of f by keys of the role; one public key counts once,
// under whatever IDs.
func (rk roleKeys) verify(f *file) error {
	good := map[string]bool{}
	for _, s := range f.signatures {
		pub, ok := rk.keys[s.KeyID]
		if !ok {
			continue
		}
		sig, err := hex.DecodeString(s.Sig)
		if err == nil && wiresig.Verify(pub, f.message, sig) == nil {
			good[wiresig.Fingerprint(pub)] = true
		}
	}
	if len(good) < rk.threshold {
		return fmt.Errorf("it needs %d signatures and has %d: %w", rk.threshold, len(good), wiresig.ErrBadSignature)
	}
	return nil
}

// publics lists the role's public keys.
func (rk roleKeys) publics() []crypto.PublicKey {
	all := make([]crypto.PublicKey, 0, len(rk.keys))
	for _, pub := range rk.keys {
		all = append(all, pub)
	}
	return all
}
