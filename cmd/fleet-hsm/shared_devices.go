package main

import (
	"fmt"
	"maps"
	"slices"

	"github.com/fleet-hsm/fleet-hsm/ceremony"
	"github.com/fleet-hsm/fleet-hsm/config"
	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

// onOneDevice says of which roles a single token, card or file holds as many keys as
// must sign: whoever has it needs nobody else, whatever the threshold says. hints are
// what a request says of places, nil for none.
func onOneDevice(cfg *config.Config, kinds signer.Kinds, root *repo.Root, hints map[tuf.KeyID]ceremony.Hint) []string {
	var out []string
	for _, role := range repo.Roles() {
		need := root.Threshold(role)
		if need < 2 {
			continue
		}
		on := map[string]int{}
		for _, k := range root.Keys(role) {
			u, ok := cfg.Locations[k.ID]
			if !ok {
				u, _ = kinds.Parse(hints[k.ID].URI.String())
			}
			if device := u.Device(); device != "" {
				on[device]++
			}
		}
		for _, device := range slices.Sorted(maps.Keys(on)) {
			if on[device] >= need {
				out = append(out, fmt.Sprintf("%d keys of %s are on one device, %s: it alone meets the threshold of %d", on[device], role, device, need))
			}
		}
	}
	return out
}

// warnOneDevice adds it to the review of a change of root.
func (a *app) warnOneDevice(card *repo.Card, c *repo.Change, hints map[tuf.KeyID]ceremony.Hint) {
	cfg, err := a.config()
	if err != nil {
		return
	}
	for i := range card.Roles {
		if card.Roles[i].Role == repo.RoleRoot {
			card.Roles[i].Warnings = append(card.Roles[i].Warnings, onOneDevice(cfg, a.kinds, c.Root(), hints)...)
		}
	}
}

// sayShared tells of roles that one device can sign for alone.
func (w *work) sayShared(c *repo.Change) {
	for _, s := range onOneDevice(w.cfg, w.a.kinds, c.Root(), nil) {
		w.a.warn("%s", s)
	}
}
