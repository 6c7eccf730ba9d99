package repo

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
)

// Doc is one piece of metadata that is being signed.
type Doc struct {
	role    string
	version int64
	expires time.Time
	env     *envelope
	// sets are the thresholds to meet: for a root the published root's and its own,
	// for the others the one of the root that will be in force.
	sets []keySet
	// lender are the keys of targets, in a document of a cold role.
	lender []Key
}

type keySet struct {
	keys      []Key
	threshold int
}

// Role is the role that signs.
func (d *Doc) Role() string { return d.role }

// KeyRole says under which role a key of the document is kept: a cold role has targets'
// keys, or such as are kept together for all cold roles.
func (d *Doc) KeyRole(k Key) string {
	switch {
	case IsRole(d.role):
		return d.role
	case hasKey(d.lender, k.ID):
		return RoleTargets
	}
	return RoleCold
}

// Version is the number that is being signed.
func (d *Doc) Version() int64 { return d.version }

// Expires is the expiry that is being signed.
func (d *Doc) Expires() time.Time { return d.expires }

// Payload is what a signature covers: the canonical bytes of "signed".
func (d *Doc) Payload() []byte { return d.env.signed }

// Hash is the SHA-256 of the payload, hex; people compare it.
func (d *Doc) Hash() string {
	sum := sha256.Sum256(d.env.signed)
	return hex.EncodeToString(sum[:])
}

// Keys lists the keys that may sign, each once.
func (d *Doc) Keys() []Key {
	var keys []Key
	seen := map[tuf.KeyID]bool{}
	for _, set := range d.sets {
		for _, k := range set.keys {
			if !seen[k.ID] {
				seen[k.ID] = true
				keys = append(keys, k)
			}
		}
	}
	return keys
}

// Tally says how far one threshold is met.
type Tally struct {
	Have, Need int
	Signed     []Key
	Missing    []Key // keys of this threshold that have not signed
}

// Tallies gives one tally for each threshold; a root has two, the published root's
// first.
func (d *Doc) Tallies() []Tally {
	out := make([]Tally, 0, len(d.sets))
	for _, set := range d.sets {
		signed := d.env.counted(set.keys)
		t := Tally{Have: len(signed), Need: set.threshold, Signed: signed}
		for _, k := range set.keys {
			if !d.env.has(k.ID) {
				t.Missing = append(t.Missing, k)
			}
		}
		out = append(out, t)
	}
	return out
}

// Met reports whether every threshold is met.
func (d *Doc) Met() bool {
	for _, set := range d.sets {
		if len(d.env.counted(set.keys)) < set.threshold {
			return false
		}
	}
	return true
}

// Missing lists the keys whose signature would still help, each once.
func (d *Doc) Missing() []Key {
	var keys []Key
	seen := map[tuf.KeyID]bool{}
	for _, t := range d.Tallies() {
		if t.Have >= t.Need {
			continue
		}
		for _, k := range t.Missing {
			if !seen[k.ID] {
				seen[k.ID] = true
				keys = append(keys, k)
			}
		}
	}
	return keys
}

// Short describes what is missing, or nil if nothing is.
func (d *Doc) Short() *ShortError {
	for _, t := range d.Tallies() {
		if t.Have < t.Need {
			return &ShortError{Role: d.role, Version: d.version, Have: t.Have, Need: t.Need, Missing: d.Missing()}
		}
	}
	return nil
}

// Signed reports whether a key has signed.
func (d *Doc) Signed(keyID tuf.KeyID) bool { return d.env.has(keyID) }

// AddSignature verifies a signature with the public key that root names and keeps
// it, in the place of an earlier one of the same key ID. Errors: *SignatureError.
func (d *Doc) AddSignature(keyID tuf.KeyID, sig []byte) error {
	for _, k := range d.Keys() {
		if k.ID != keyID {
			continue
		}
		if err := d.env.verify(k, sig); err != nil {
			return &SignatureError{Role: d.role, KeyID: keyID, Err: err}
		}
		d.env.put(keyID, sig)
		return nil
	}
	return &SignatureError{Role: d.role, KeyID: keyID, Err: refuse(UnknownKey, "not a key of this role")}
}
