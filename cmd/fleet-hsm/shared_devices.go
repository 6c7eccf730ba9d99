package main

import (
	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/keyring"
	"github.com/fleet-hsm/fleet-hsm/repo"
)

// warnOneDevice adds it to the review of a change of root.
func (a *app) warnOneDevice(card *repo.Card, c *repo.Change, hints map[tuf.KeyID]keyring.Hint) {
	for i := range card.Roles {
		if card.Roles[i].Role == repo.RoleRoot {
			card.Roles[i].Warnings = append(card.Roles[i].Warnings, a.keys.OnOneDevice(c.Root(), hints)...)
		}
	}
}

// sayShared tells of roles that one device can sign for alone.
func (w *work) sayShared(c *repo.Change) {
	for _, s := range w.keys.OnOneDevice(c.Root(), nil) {
		w.a.warn("%s", s)
	}
}
