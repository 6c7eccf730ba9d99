package tuf

import (
	"crypto"
	"encoding/json"
	"fmt"

	"github.com/fleet-hsm/fleet-hsm/internal/wiresig"
)

// RootDoc is a root: who may sign what.
type RootDoc struct {
	Header
	Consistent bool
	Keys       map[KeyID]crypto.PublicKey
	// Roles has the four top-level roles.
	Roles map[string]Role
}

// Role says who signs for a role: so many of these keys.
type Role struct {
	KeyIDs    []KeyID // in the order of the document
	Threshold int
}

// ParseRoot reads the signed part of a root and refuses what deployed agents would
// refuse, wherever it stands in it. Errors: *KeyIDError, *KeyError, *TypeError.
func ParseRoot(signed []byte) (*RootDoc, error) {
	var doc struct {
		Header
		Consistent bool                 `json:"consistent_snapshot"`
		Keys       map[KeyID]*KeyObject `json:"keys"`
		// All roles are read, so that no role names something else than a key ID.
		Roles map[string]*struct {
			KeyIDs    []KeyID `json:"keyids"`
			Threshold int     `json:"threshold"`
		} `json:"roles"`
	}
	if err := json.Unmarshal(signed, &doc); err != nil {
		return nil, err
	}
	if err := doc.Check(Root); err != nil {
		return nil, err
	}
	r := &RootDoc{Header: doc.Header, Consistent: doc.Consistent, Keys: map[KeyID]crypto.PublicKey{}, Roles: map[string]Role{}}
	for id, o := range doc.Keys {
		pub, err := o.Public(id)
		if err != nil {
			return nil, err
		}
		r.Keys[id] = pub
	}
	for _, name := range Roles() {
		ro := doc.Roles[name]
		if ro == nil {
			return nil, fmt.Errorf("role %s is missing", name)
		}
		r.Roles[name] = Role{ro.KeyIDs, ro.Threshold}
		if err := r.check(name); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// check wants a threshold that the keys of the role can meet, each counted once.
func (r *RootDoc) check(name string) error {
	role := r.Roles[name]
	if role.Threshold < 1 {
		return fmt.Errorf("role %s has threshold %d", name, role.Threshold)
	}
	distinct := map[string]bool{}
	for _, id := range role.KeyIDs {
		pub, ok := r.Keys[id]
		if !ok {
			return fmt.Errorf("role %s names key %s, which is not among the keys", name, id.Short())
		}
		distinct[wiresig.Fingerprint(pub)] = true
	}
	if len(distinct) < role.Threshold {
		return fmt.Errorf("role %s has threshold %d and %d different keys", name, role.Threshold, len(distinct))
	}
	return nil
}
