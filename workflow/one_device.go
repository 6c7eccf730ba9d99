package workflow

import (
	"strings"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/keyring"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/diff"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// warnOneDevice adds it to the review of a change of root.
func (w *Session) warnOneDevice(review *diff.Review, c *repo.Change, hints map[tuf.KeyID]keyring.Hint) {
	for i := range review.Roles {
		if review.Roles[i].Role == meta.RoleRoot {
			review.Roles[i].Warnings = append(review.Roles[i].Warnings, w.Keys.OnOneDevice(c.Root(), hints)...)
		}
	}
}

// SayShared tells of roles that one device, or one key, can sign for alone.
func (w *Session) SayShared(c *repo.Change) {
	w.saySharedKeys(c.Root())
	for _, s := range w.Keys.OnOneDevice(c.Root(), nil) {
		w.warn("%s", s)
	}
}

// saySharedKeys names keys that sign for two roles: who has one has both.
func (w *Session) saySharedKeys(root *meta.Root) {
	holders := map[tuf.KeyID][]string{}
	for _, role := range meta.Roles() {
		for _, k := range root.Keys(role) {
			holders[k.ID] = append(holders[k.ID], role)
		}
	}
	for _, role := range meta.Roles() {
		for _, k := range root.Keys(role) {
			if of := holders[k.ID]; len(of) > 1 && of[0] == role {
				w.warn("one key (%s) signs for %s: whoever has it has all of them", k.ShortID(), strings.Join(of, " and "))
			}
		}
	}
}
