package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/signer"
	"github.com/fleet-hsm/fleet-hsm/verify"
)

// The stored attestations (attestations/<keyid>.pem) against what root names.

// roots gives the roots whose keys matter: the published one, and the staged one
// that a person is about to sign.
func (w *work) roots() []*repo.Root {
	var list []*repo.Root
	if w.Published != nil {
		list = append(list, w.Published.Root)
	}
	if w.Staged != nil {
		list = append(list, w.Staged.Root())
	}
	return list
}

// rolesOf lists the roles of a key in any of the roots.
func (w *work) rolesOf(id tuf.KeyID) []string {
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

// attestStored checks the keys that match one argument (a key ID or its beginning, or
// a role), or all.
func (a *app) attestStored(att signer.Attester, args []string, extra []byte) (*attestResult, error) {
	w, err := a.look()
	if err != nil {
		return nil, err
	}
	res := &attestResult{Schema: 1, Keys: []attestEntry{}}
	seen := map[tuf.KeyID]bool{}
	for _, root := range w.roots() {
		for _, role := range repo.Roles() {
			for _, k := range root.Keys(role) {
				if seen[k.ID] || len(args) == 1 && args[0] != role && !strings.HasPrefix(k.ID.String(), args[0]) {
					continue
				}
				seen[k.ID] = true
				e := entryOfStored(k.ID, a.keys.CheckStored(att, a.keys.AttestationFile(k.ID), k, extra))
				e.Roles = w.rolesOf(k.ID)
				res.Keys = append(res.Keys, e)
			}
		}
	}
	if len(res.Keys) == 0 {
		return nil, usagef("root names no key %q", strings.Join(args, " "))
	}
	return res, nil
}

// verifyAttestations is verify --attestations: every root key must have a stored
// attestation, and every stored one, of whatever role, must hold. The web root that
// was verified is below the folder with attestations/.
func (a *app) verifyAttestations(source string, extra []byte) ([]verify.Finding, error) {
	keys, err := a.plain()
	if err != nil {
		return nil, err
	}
	att, ok := keys.Backends.Attester()
	if !ok {
		return nil, &signer.UnsupportedError{What: "attestation", Why: "this build has no kind of key that proves where it was born"}
	}
	top := source
	if filepath.Base(source) == "repository" {
		top = filepath.Dir(source)
	}
	p, err := repo.Open(top, repo.Options{}).LoadOnline()
	if err != nil {
		// What is wrong with the metadata is among verify's own findings.
		return []verify.Finding{{Code: "attestation-unchecked", Severity: verify.Error, Role: repo.RoleRoot, Text: err.Error()}}, nil
	}
	var found []verify.Finding
	for _, role := range repo.Roles() {
		for _, k := range p.Root.Keys(role) {
			name := filepath.Join("attestations", k.ID.String()+".pem")
			e := entryOfStored(k.ID, keys.CheckStored(att, filepath.Join(top, name), k, extra))
			f := verify.Finding{Severity: verify.Error, Role: role, File: name}
			switch {
			case e.Problem != "":
				f.Code, f.Text = "attestation-invalid", e.Problem
			case e.Attested:
				f.Code, f.Severity = "attestation-good", verify.Info
				f.Text = fmt.Sprintf("%s key of card %s, slot %s, firmware %s, PIN %s, touch %s (%s)", role, e.Serial, e.Slot, e.Firmware, e.PINPolicy, e.TouchPolicy, e.Root)
			case role == repo.RoleRoot:
				f.Code, f.Text = "attestation-missing", fmt.Sprintf("nothing proves on which device root key %s was born", k.ShortID())
			default:
				continue
			}
			found = append(found, f)
		}
	}
	return found, nil
}

// attestationRoots reads the roots of --attestation-ca, or of the configuration.
func (a *app) attestationRoots(file string) ([]byte, error) {
	keys, err := a.keychain()
	if err != nil {
		return nil, err
	}
	return keys.AttestationRoots(file)
}
