package meta

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
	env     *Envelope
	// sets are the thresholds to meet: for a root the published root's and its own,
	// for the others the one of the root that will be in force.
	sets []KeySet
	// lender are the keys of targets, in a document of a cold role.
	lender []Key
}

// KeySet is one threshold: so many of these keys must sign.
type KeySet struct {
	Keys      []Key
	Threshold int
}

// NewDoc makes a document of a signed part, with the signatures that it has. Who may sign
// it is told by signedWith.
func NewDoc(role string, version int64, expires time.Time, env *Envelope) *Doc {
	return &Doc{role: role, version: version, expires: expires, env: env}
}

// SignWith says which thresholds are to be met.
func (d *Doc) SignWith(sets ...KeySet) { d.sets = sets }

// Lend says which keys of a cold role are those of targets.
func (d *Doc) Lend(keys []Key) { d.lender = keys }

// Bytes is the file, with the signatures that it has.
func (d *Doc) Bytes() ([]byte, error) { return d.env.bytes() }

// Text is what a signature covers as JSON, to be read.
func (d *Doc) Text() []byte { return d.env.Text() }

// DropBad takes out signatures that do not verify or are of no key that may sign, and
// names their key IDs.
func (d *Doc) DropBad() []tuf.KeyID { return d.env.dropBad(d.Keys()) }

// Role is the role that signs.
func (d *Doc) Role() string { return d.role }

// KeyRole says under which role a key of the document is kept: a cold role has targets'
// keys, or such as are kept together for all cold roles.
func (d *Doc) KeyRole(k Key) string {
	switch {
	case IsRole(d.role):
		return d.role
	case HasKey(d.lender, k.ID):
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
		for _, k := range set.Keys {
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
		signed := d.env.Counted(set.Keys)
		t := Tally{Have: len(signed), Need: set.Threshold, Signed: signed}
		for _, k := range set.Keys {
			if !d.env.has(k.ID) {
				t.Missing = append(t.Missing, k)
			}
		}
		out = append(out, t)
	}
	return out
}

// Tallied is one threshold and how far it is met.
type Tallied struct {
	By      string      `json:"by"` // "published root", "new root", or the role
	Have    int         `json:"have"`
	Need    int         `json:"need"`
	Signed  []tuf.KeyID `json:"signed"`
	Missing []tuf.KeyID `json:"missing"`
}

// Tallied is Tallies in plain data.
func (d *Doc) Tallied() []Tallied {
	tallies := d.Tallies()
	var out []Tallied
	for i, t := range tallies {
		by := d.role
		if d.role == RoleRoot && len(tallies) == 2 {
			by = []string{"published root", "new root"}[i]
		}
		out = append(out, Tallied{By: by, Have: t.Have, Need: t.Need, Signed: IDs(t.Signed), Missing: IDs(t.Missing)})
	}
	return out
}

// Met reports whether every threshold is met.
func (d *Doc) Met() bool {
	for _, set := range d.sets {
		if len(d.env.Counted(set.Keys)) < set.Threshold {
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
	return &SignatureError{Role: d.role, KeyID: keyID, Err: Refuse(UnknownKey, "not a key of this role")}
}
