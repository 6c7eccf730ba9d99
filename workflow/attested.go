package workflow

import (
	"slices"
	"strings"

	"github.com/fleet-hsm/fleet-hsm/internal/misuse"
	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/keyring"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/diff"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

// WarnUnattested adds a warning for keys that get a role and that no certificate
// proves to have been born on a device.
func (w *Session) WarnUnattested(review *diff.Review, c *repo.Change, hints map[tuf.KeyID]keyring.Hint) {
	w.warnOneDevice(review, c, hints)
	for i := range review.Roles {
		var unproved []string
		for _, ch := range review.Roles[i].Keys {
			k, _, known := c.Root().Key(ch.KeyID)
			if !ch.Gains || !known {
				continue
			}
			if proof, proved := w.Keys.Proved(k, hints[k.ID].Attestation); proved {
				review.Roles[i].Warnings = append(review.Roles[i].Warnings, flawsOf(k, proof, review.Roles[i].Warnings)...)
				continue
			}
			if w.needsNoProof(ch.Role, k, c, hints) {
				continue
			}
			if id := k.ShortID(); !strings.Contains(strings.Join(unproved, " "), id) {
				unproved = append(unproved, id)
			}
		}
		if len(unproved) > 0 {
			review.Roles[i].Warnings = append(review.Roles[i].Warnings,
				"no attestation proves that these keys exist on one device only: "+strings.Join(unproved, ", "))
		}
	}
}

// needsNoProof: a key in a file can be copied, and everybody knows. A key that is not
// known to be in one counts as such where no key of its role is on a device.
func (w *Session) needsNoProof(role string, k meta.Key, c *repo.Change, hints map[tuf.KeyID]keyring.Hint) bool {
	if w.Keys.InFile(k) || w.Maker.InFile(k) {
		return true
	}
	if k.Type() != "ed25519" || hints != nil { // a request comes from elsewhere
		return false
	}
	others := c.Root().Keys(role)
	if w.Published != nil {
		others = slices.Concat(others, w.Published.Root.Keys(role))
	}
	return !slices.ContainsFunc(others, func(o meta.Key) bool {
		_, proved := w.Keys.Proved(o, hints[o.ID].Attestation)
		return proved || w.Keys.OnDevice(o)
	})
}

// flawsOf are the known flaws of the firmware that a key was attested with, without those
// that were told already (a key may get several roles).
func flawsOf(k meta.Key, proof signer.Attestation, told []string) []string {
	var out []string
	for _, s := range proof.Warnings {
		if text := "key " + k.ShortID() + ": " + s; !slices.Contains(told, text) {
			out = append(out, text)
		}
	}
	return out
}

// roots gives the roots whose keys matter: the published one, and the staged one
// that a person is about to sign.
func (w *Session) roots() []*meta.Root {
	var list []*meta.Root
	if w.Published != nil {
		list = append(list, w.Published.Root)
	}
	if w.Staged != nil {
		list = append(list, w.Staged.Root())
	}
	return list
}

// RolesOf lists the roles of a key in any of the roots.
func (w *Session) RolesOf(id tuf.KeyID) []string {
	var roles []string
	for _, root := range w.roots() {
		_, of, _ := root.Key(id)
		for _, role := range of {
			if !slices.Contains(roles, role) {
				roles = append(roles, role)
			}
		}
	}
	return roles
}

// Attested is what is stored to prove where a key of a root was born.
type Attested struct {
	KeyID tuf.KeyID
	Roles []string
	keyring.StoredProof
}

// CheckAttestations checks the stored certificates of the keys that match one argument (a
// key ID or its beginning, or a role), or of all with "". extra are roots that count besides
// the maker's.
func (w *Session) CheckAttestations(which string, extra []byte) ([]Attested, error) {
	att, err := w.Keys.Attester()
	if err != nil {
		return nil, err
	}
	var out []Attested
	seen := map[tuf.KeyID]bool{}
	for _, root := range w.roots() {
		for _, role := range meta.Roles() {
			for _, k := range root.Keys(role) {
				if seen[k.ID] || which != "" && which != role && !strings.HasPrefix(k.ID.String(), which) && !w.Keys.Calls(which, k.ID) {
					continue
				}
				seen[k.ID] = true
				out = append(out, Attested{k.ID, w.RolesOf(k.ID), w.Keys.CheckStored(att, w.Keys.AttestationFile(k.ID), k, extra)})
			}
		}
	}
	if len(out) == 0 {
		return nil, misuse.Errorf("root names no key %q", which)
	}
	return out, nil
}
