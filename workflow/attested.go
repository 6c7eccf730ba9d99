package workflow

import (
	"slices"
	"strings"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/keyring"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

// WarnUnattested adds a warning for keys that get a role and that no certificate
// proves to have been born on a device.
func (w *Session) WarnUnattested(card *repo.Card, c *repo.Change, hints map[tuf.KeyID]keyring.Hint) {
	w.warnOneDevice(card, c, hints)
	att, ok := w.Keys.Backends.Attester()
	roots, err := w.Keys.AttestationRoots("")
	ok = ok && err == nil
	for i := range card.Roles {
		var unproved []string
		for _, ch := range card.Roles[i].Keys {
			k, _, known := c.Root().Key(ch.KeyID)
			if !ch.Gains || !known {
				continue
			}
			if ok {
				if proof, proved := w.Keys.AttestationOf(att, roots, k, hints[k.ID].Attestation); proved {
					card.Roles[i].Warnings = append(card.Roles[i].Warnings, flawsOf(k, proof, card.Roles[i].Warnings)...)
					continue
				}
			}
			if id := k.ShortID(); !strings.Contains(strings.Join(unproved, " "), id) {
				unproved = append(unproved, id)
			}
		}
		if len(unproved) > 0 {
			card.Roles[i].Warnings = append(card.Roles[i].Warnings,
				"no attestation proves that these keys exist on one device only: "+strings.Join(unproved, ", "))
		}
	}
}

// flawsOf are the known flaws of the firmware that a key was attested with, without those
// that were told already (a key may get several roles).
func flawsOf(k repo.Key, proof signer.Attestation, told []string) []string {
	var out []string
	for _, s := range proof.Warnings {
		if text := "key " + k.ShortID() + ": " + s; !slices.Contains(told, text) {
			out = append(out, text)
		}
	}
	return out
}
