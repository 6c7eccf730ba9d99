package workflow

import (
	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/keyring"
	"github.com/fleet-hsm/fleet-hsm/repo"
)

// warnOneDevice adds it to the review of a change of root.
func (w *Session) warnOneDevice(card *repo.Card, c *repo.Change, hints map[tuf.KeyID]keyring.Hint) {
	for i := range card.Roles {
		if card.Roles[i].Role == repo.RoleRoot {
			card.Roles[i].Warnings = append(card.Roles[i].Warnings, w.Keys.OnOneDevice(c.Root(), hints)...)
		}
	}
}

// SayShared tells of roles that one device can sign for alone.
func (w *Session) SayShared(c *repo.Change) {
	for _, s := range w.Keys.OnOneDevice(c.Root(), nil) {
		w.warn("%s", s)
	}
}
