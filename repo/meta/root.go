package meta

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/cjson"
	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
)

// Root is a parsed root: which keys and thresholds each role has.
type Root struct {
	signed metadata.RootType
	keys   map[string]Key // by key ID, as in signed
}

// Version is the root's number.
func (r *Root) Version() int64 { return r.signed.Version }

// Expires is when clients begin to refuse the root.
func (r *Root) Expires() time.Time { return r.signed.Expires }

// ConsistentSnapshot tells the layout of the repository (TUF spec, section 6.2).
func (r *Root) ConsistentSnapshot() bool { return r.signed.ConsistentSnapshot }

// Threshold is how many keys of the role must sign.
func (r *Root) Threshold(role string) int {
	if ro := r.signed.Roles[role]; ro != nil {
		return ro.Threshold
	}
	return 0
}

// Keys gives the keys of a role in the order in which root lists them.
func (r *Root) Keys(role string) []Key {
	ro := r.signed.Roles[role]
	if ro == nil {
		return nil
	}
	keys := make([]Key, 0, len(ro.KeyIDs))
	for _, id := range ro.KeyIDs {
		if k, ok := r.keys[id]; ok {
			keys = append(keys, k)
		}
	}
	return keys
}

// Key gives the key of an ID and the roles it has; ok is false for an unknown ID.
func (r *Root) Key(id tuf.KeyID) (k Key, roles []string, ok bool) {
	k, ok = r.keys[id.String()]
	return k, r.rolesOf(id.String()), ok
}

func (r *Root) rolesOf(id string) (roles []string) {
	for _, role := range Roles() {
		if ro := r.signed.Roles[role]; ro != nil && slices.Contains(ro.KeyIDs, id) {
			roles = append(roles, role)
		}
	}
	return roles
}

// ParseRoot reads the signed part of a root and refuses what deployed agents would
// refuse, wherever it stands in it.
func ParseRoot(signed []byte) (*Root, error) {
	doc, err := tuf.ParseRoot(signed)
	if err != nil {
		var bad *tuf.KeyError
		if errors.As(err, &bad) {
			err = fmt.Errorf("%w: %w", ErrKey, err)
		}
		return nil, err
	}
	// Read again into the library's type, which keeps fields that we do not know: what is
	// changed is written back.
	r := &Root{keys: map[string]Key{}}
	if err := json.Unmarshal(signed, &r.signed); err != nil {
		return nil, err
	}
	for id, pub := range doc.Keys {
		r.keys[id.String()] = Key{ID: id, Public: pub, object: r.signed.Keys[id.String()]}
	}
	return r, nil
}

// Clone makes a root that can be changed without changing r.
func (r *Root) Clone() *Root {
	c := &Root{signed: r.signed, keys: map[string]Key{}}
	c.signed.Keys = map[string]*metadata.Key{}
	for id, k := range r.keys {
		c.keys[id] = k
		c.signed.Keys[id] = k.object
	}
	c.signed.Roles = map[string]*metadata.Role{}
	for name, ro := range r.signed.Roles {
		cp := *ro
		cp.KeyIDs = slices.Clone(ro.KeyIDs)
		c.signed.Roles[name] = &cp
	}
	return c
}

// NewRoot starts a root without keys.
func NewRoot(consistent bool) *Root {
	r := &Root{keys: map[string]Key{}}
	r.signed = metadata.RootType{
		Type: RoleRoot, SpecVersion: specVersion, ConsistentSnapshot: consistent,
		Keys: map[string]*metadata.Key{}, Roles: map[string]*metadata.Role{},
	}
	for _, role := range Roles() {
		r.signed.Roles[role] = &metadata.Role{KeyIDs: []string{}, Threshold: 1}
	}
	return r
}

// Names reports whether a role has the key.
func (r *Root) Names(id string) bool { return len(r.rolesOf(id)) > 0 }

// NoRoot is what the first root is compared with: no keys, and no thresholds. It comes with
// what would be signed of it.
func NoRoot(consistent bool) (*Root, []byte) {
	r := NewRoot(consistent)
	for _, ro := range r.signed.Roles {
		ro.Threshold = 0
	}
	return r, []byte(`{"_type":"root","spec_version":"` + specVersion + `"}`)
}

// AllKeys gives every key by its ID as it stands there, also such as no role has.
func (r *Root) AllKeys() map[string]Key { return r.keys }

// SetKeys gives a role exactly these keys and this threshold. A public key twice in
// a role is refused: old clients would count it twice.
func (r *Root) SetKeys(role string, keys []Key, threshold int) error {
	seen := map[string]Key{}
	ids := make([]string, 0, len(keys))
	for _, k := range keys {
		if other, dup := seen[k.Fingerprint()]; dup {
			return Refuse(DuplicateKey, "role %s would have one public key twice (key IDs %s and %s)", role, other.ShortID(), k.ShortID())
		}
		seen[k.Fingerprint()] = k
		id := k.ID.String()
		ids = append(ids, id)
		r.keys[id] = k
		r.signed.Keys[id] = k.object
	}
	if len(keys) == 0 {
		return Refuse(LastKey, "role %s would have no key left", role)
	}
	if threshold < 1 || threshold > len(keys) {
		return Refuse(ThresholdHigh, "threshold %d for role %s, which has %d key(s)", threshold, role, len(keys))
	}
	r.signed.Roles[role].KeyIDs = ids
	r.signed.Roles[role].Threshold = threshold
	r.dropUnused()
	return nil
}

// dropUnused takes out keys that no role names.
func (r *Root) dropUnused() {
	used := map[string]bool{}
	for _, ro := range r.signed.Roles {
		for _, id := range ro.KeyIDs {
			used[id] = true
		}
	}
	for id := range r.keys {
		if !used[id] {
			delete(r.keys, id)
			delete(r.signed.Keys, id)
		}
	}
}

// Encode gives the signed part in canonical form.
func (r *Root) Encode() ([]byte, error) { return cjson.EncodeCanonical(r.signed) }

// Renumber gives the root the version and the expiry that it will be signed with.
func (r *Root) Renumber(version int64, expires time.Time) {
	r.signed.Version, r.signed.Expires = version, UTCSecond(expires)
}

// SetConsistent makes it a root of the layout with numbered files.
func (r *Root) SetConsistent() { r.signed.ConsistentSnapshot = true }

// Signers are the keys and the threshold of a role, for a document.
func (r *Root) Signers(role string) KeySet { return KeySet{r.Keys(role), r.Threshold(role)} }

// UTCSecond is how every expiry is written: UTC with Z, whole seconds.
func UTCSecond(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

// UnchangedRole reports whether a role keeps its keys and its threshold.
func UnchangedRole(before, after *Root, role string) bool {
	return before.Threshold(role) == after.Threshold(role) && SameKeySet(before.Keys(role), after.Keys(role))
}

// KeysRemoved reports whether a role loses a key.
func KeysRemoved(before, after *Root, role string) bool {
	kept := map[tuf.KeyID]bool{}
	for _, k := range after.Keys(role) {
		kept[k.ID] = true
	}
	for _, k := range before.Keys(role) {
		if !kept[k.ID] {
			return true
		}
	}
	return false
}

// SameKeys reports whether a timestamp that the old root's keys signed is still good
// under the new root's; an added key alone changes nothing.
func SameKeys(before, after *Root, role string) bool {
	return !KeysRemoved(before, after, role) && before.Threshold(role) == after.Threshold(role)
}
