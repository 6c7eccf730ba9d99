package verify

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"slices"
)

// publicKey is a key of root that could be read. identity is its SPKI in DER, the
// same for one key whatever it is called.
type publicKey struct {
	crypto.PublicKey
	identity string
}

// keyFault is why deployed agents refuse a key.
type keyFault struct {
	code Code
	text string
}

// readKey reads a key as leniently as can be, so that the walk can go on, and tells
// every way in which agents would not (SIGNERS.md 5.1; go-tuf v0.5.2 pkg/keys).
func readKey(k *keyEntry) (*publicKey, []keyFault) {
	if k == nil {
		return nil, []keyFault{{CodeKeyForm, "it is null"}}
	}
	var value struct {
		Public string `json:"public"`
	}
	if err := json.Unmarshal(k.Value, &value); err != nil {
		return nil, []keyFault{{CodeKeyForm, fmt.Sprintf("keyval cannot be read: %v", err)}}
	}
	if k.Type == "ed25519" {
		return readEd25519(k, value.Public)
	}
	faults := checkType(k)
	pub, fault := readPEM(value.Public)
	if fault != nil {
		faults = append(faults, *fault)
	}
	if pub == nil {
		return nil, faults
	}
	faults = append(faults, checkPublic(k, pub)...)
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return nil, append(faults, keyFault{CodeKeyForm, err.Error()})
	}
	return &publicKey{pub, string(der)}, faults
}

func readEd25519(k *keyEntry, public string) (*publicKey, []keyFault) {
	var faults []keyFault
	if k.Scheme != "ed25519" {
		faults = append(faults, keyFault{CodeKeyScheme, fmt.Sprintf("scheme %q, want \"ed25519\"", k.Scheme)})
	}
	raw, err := hex.DecodeString(public)
	if err != nil || len(raw) != ed25519.PublicKeySize {
		return nil, append(faults, keyFault{CodeKeyForm, "an ed25519 key must be 64 hex digits, not PEM or anything else"})
	}
	der, err := x509.MarshalPKIXPublicKey(ed25519.PublicKey(raw))
	if err != nil {
		return nil, append(faults, keyFault{CodeKeyForm, err.Error()})
	}
	return &publicKey{ed25519.PublicKey(raw), string(der)}, faults
}

func checkType(k *keyEntry) []keyFault {
	schemes := map[string]string{"ecdsa-sha2-nistp256": "ecdsa-sha2-nistp256", "rsa": "rsassa-pss-sha256"}
	want, ok := schemes[k.Type]
	if !ok {
		return []keyFault{{CodeKeyType, fmt.Sprintf("keytype %q: deployed agents refuse the whole root with \"invalid key\", whoever uses the key; they know ed25519, ecdsa-sha2-nistp256 and rsa", k.Type)}}
	}
	if k.Scheme != want {
		return []keyFault{{CodeKeyScheme, fmt.Sprintf("keytype %q with scheme %q, want %q", k.Type, k.Scheme, want)}}
	}
	return nil
}

// readPEM reads SubjectPublicKeyInfo, and PKCS#1 with a fault: newer clients read it.
func readPEM(text string) (crypto.PublicKey, *keyFault) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, &keyFault{CodeKeyForm, "the public key is not PEM"}
	}
	if block.Type == "RSA PUBLIC KEY" {
		fault := &keyFault{CodeKeyForm, `PEM type "RSA PUBLIC KEY", want "PUBLIC KEY": agents refuse the whole root`}
		pub, err := x509.ParsePKCS1PublicKey(block.Bytes)
		if err != nil {
			return nil, fault
		}
		return pub, fault
	}
	if block.Type != "PUBLIC KEY" {
		return nil, &keyFault{CodeKeyForm, fmt.Sprintf("PEM type %.40q, want \"PUBLIC KEY\"", block.Type)}
	}
	pub, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, &keyFault{CodeKeyForm, fmt.Sprintf("the public key cannot be read: %v", err)}
	}
	return pub, nil
}

func checkPublic(k *keyEntry, pub crypto.PublicKey) []keyFault {
	switch p := pub.(type) {
	case *ecdsa.PublicKey:
		if k.Type == "rsa" {
			break
		}
		if p.Curve != elliptic.P256() {
			return []keyFault{{CodeKeyCurve, fmt.Sprintf("curve %s, want P-256", p.Curve.Params().Name)}}
		}
		return nil
	case *rsa.PublicKey:
		if k.Type != "rsa" {
			break
		}
		if bits := p.N.BitLen(); bits < 2048 || bits > 4096 {
			return []keyFault{{CodeKeySize, fmt.Sprintf("RSA key of %d bits, want 2048, 3072 or 4096", bits)}}
		}
		return nil
	}
	return []keyFault{{CodeKeyForm, fmt.Sprintf("keytype %q, but the public key is %T", k.Type, pub)}}
}

// keyring is what a delegator (root, or targets for delegated roles) says of keys.
type keyring struct {
	from string // file
	keys map[string]*publicKey
	// held are the key IDs that the delegator has, readable or not.
	held map[string]*keyEntry
}

// readKeys reads all keys of a delegator and reports what agents refuse.
func (w *walk) readKeys(role, file string, entries map[string]*keyEntry) keyring {
	ring := keyring{from: file, keys: map[string]*publicKey{}, held: entries}
	for _, id := range slices.Sorted(maps.Keys(entries)) {
		pub, faults := readKey(entries[id])
		for _, f := range faults {
			w.errorf(f.code, role, file, "key %s: %s", short(id), f.text)
		}
		if pub != nil {
			ring.keys[id] = pub
		}
	}
	return ring
}

// checkRole reports what is wrong with a role's list of keys.
func (w *walk) checkRole(ring keyring, name, reported string, r *roleKeys) {
	names := map[string]string{}
	distinct := 0
	for _, id := range r.KeyIDs {
		if _, ok := ring.held[id]; !ok {
			w.errorf(CodeKeyMissing, reported, ring.from, "role %s names key %s, which is not among the keys", name, short(id))
			continue
		}
		identity := "id:" + id
		if pub := ring.keys[id]; pub != nil {
			identity = pub.identity
		}
		if other, ok := names[identity]; ok {
			w.errorf(CodeKeyDuplicate, reported, ring.from, "role %s holds one public key twice, as %s and %s: deployed agents count it twice", name, short(other), short(id))
			continue
		}
		names[identity] = id
		distinct++
	}
	if r.Threshold < 1 || r.Threshold > distinct {
		w.errorf(CodeRoleThreshold, reported, ring.from, "role %s has threshold %d and %d distinct keys", name, r.Threshold, distinct)
	}
}
