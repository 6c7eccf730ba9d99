package meta

import (
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

// Merge takes what verifies here too. Of two good signatures of one key (ECDSA signs
// differently each time) the smaller one stays, so that the order of merging does not
// show.
func (d *Doc) Merge(other *Doc) Merged {
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
	order := IDs(d.Keys())
	slices.SortStableFunc(d.env.signatures, func(a, b tuf.Signature) int {
		return slices.Index(order, a.KeyID) - slices.Index(order, b.KeyID)
	})
	return m
}

func (e *Envelope) of(keyID tuf.KeyID) (tuf.Signature, bool) {
	for _, s := range e.signatures {
		if s.KeyID == keyID {
			return tuf.Signature{KeyID: keyID, Sig: strings.ToLower(s.Sig)}, true
		}
	}
	return tuf.Signature{}, false
}

func (e *Envelope) replace(s tuf.Signature) {
	e.signatures = slices.DeleteFunc(e.signatures, func(old tuf.Signature) bool { return old.KeyID == s.KeyID })
	e.signatures = append(e.signatures, s)
}
