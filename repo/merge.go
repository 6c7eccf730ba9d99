package repo

import (
	"fmt"
	"slices"
	"strings"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
)

// Merged says what became of the signatures that another copy of a document brought,
// by key ID.
type Merged struct {
	Added []tuf.KeyID // were not here
	Known []tuf.KeyID // were here already
}

// Merge takes the signatures of another copy of the same change: one that was signed
// while others went on working here, or that comes back from another machine. Both
// copies hold verified signatures only ([Repo.Staged] and [Import] drop the others).
// Copies may be merged in any order and more than once; the result is the same bytes.
// Nothing is taken unless all documents are the same. Errors:
// *RefusedError{OtherChange}.
func (c *Change) Merge(other *Change) (map[string]Merged, error) {
	if err := c.same(other); err != nil {
		return nil, err
	}
	out := map[string]Merged{}
	for _, d := range c.Docs() {
		out[d.role] = d.merge(other.Doc(d.role))
	}
	return out, nil
}

// same refuses a copy of another change.
func (c *Change) same(other *Change) error {
	for _, role := range rolesIn(c, other) {
		a, b := c.Doc(role), other.Doc(role)
		switch {
		case a == nil && b == nil:
		case a == nil:
			return refuse(OtherChange, "it holds a %s v%d, and no new %s is staged here", role, b.version, role)
		case b == nil:
			return refuse(OtherChange, "it holds no %s, and %s v%d is staged here", role, role, a.version)
		case a.Hash() != b.Hash():
			return refuse(OtherChange, "its %s v%d (sha256 %.16s) is not the %s v%d that is staged here (sha256 %.16s)",
				role, b.version, b.Hash(), role, a.version, a.Hash())
		}
	}
	return nil
}

// rolesIn lists the roles of which one of two changes holds a document.
func rolesIn(a, b *Change) []string {
	var roles []string
	for _, d := range slices.Concat(a.Docs(), b.Docs()) {
		if !slices.Contains(roles, d.role) {
			roles = append(roles, d.role)
		}
	}
	return roles
}

// merge takes what verifies here too. Of two good signatures of one key (ECDSA signs
// differently each time) the smaller one stays, so that the order of merging does not
// show.
func (d *Doc) merge(other *Doc) Merged {
	var m Merged
	for _, k := range d.Keys() {
		theirs, ok := other.env.of(k.ID)
		if !ok || !other.env.signedBy(k) {
			continue
		}
		ours, had := d.env.of(k.ID)
		if had {
			m.Known = append(m.Known, k.ID)
		} else {
			m.Added = append(m.Added, k.ID)
		}
		if !had || theirs.Sig < ours.Sig {
			d.env.replace(theirs)
		}
	}
	order := ids(d.Keys())
	slices.SortStableFunc(d.env.signatures, func(a, b tuf.Signature) int {
		return slices.Index(order, a.KeyID) - slices.Index(order, b.KeyID)
	})
	return m
}

func (e *envelope) of(keyID tuf.KeyID) (tuf.Signature, bool) {
	for _, s := range e.signatures {
		if s.KeyID == keyID {
			return tuf.Signature{KeyID: keyID, Sig: strings.ToLower(s.Sig)}, true
		}
	}
	return tuf.Signature{}, false
}

func (e *envelope) replace(s tuf.Signature) {
	e.signatures = slices.DeleteFunc(e.signatures, func(old tuf.Signature) bool { return old.KeyID == s.KeyID })
	e.signatures = append(e.signatures, s)
}

// Envelopes gives what is staged as metadata files, with the signatures they have; nil
// for what stays as published.
func (c *Change) Envelopes() (Bundle, error) {
	var f changeFile
	for _, d := range c.Docs() {
		b, err := d.env.bytes()
		if err != nil {
			return Bundle{}, fmt.Errorf("%s: %w", d.role, err)
		}
		f.put(d.role, b)
	}
	return Bundle{Root: f.Root, Targets: f.Targets, Cold: f.Cold}, nil
}
