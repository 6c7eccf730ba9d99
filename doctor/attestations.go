package doctor

import (
	"fmt"
	"path/filepath"

	"github.com/fleet-hsm/fleet-hsm/keyring"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/verify"
)

// Attestations checks what is stored beside a web root: every root key must have a stored
// attestation, and every stored one, of whatever role, must hold. The web root that
// was verified is below the folder with attestations/.
func Attestations(keys *keyring.Ring, source string, extra []byte) ([]verify.Finding, error) {
	att, err := keys.Attester()
	if err != nil {
		return nil, err
	}
	top := source
	if filepath.Base(source) == "repository" {
		top = filepath.Dir(source)
	}
	p, err := repo.Open(top, repo.Options{}).LoadOnline()
	if err != nil {
		// What is wrong with the metadata is among verify's own findings.
		return []verify.Finding{{Code: "attestation-unchecked", Severity: verify.Error, Role: meta.RoleRoot, Text: err.Error()}}, nil
	}
	var found []verify.Finding
	for _, role := range meta.Roles() {
		for _, k := range p.Root.Keys(role) {
			name := filepath.Join("attestations", k.ID.String()+".pem")
			e := keys.CheckStored(att, filepath.Join(top, name), k, extra)
			f := verify.Finding{Severity: verify.Error, Role: role, File: name}
			switch {
			case e.Problem != "":
				f.Code, f.Text = "attestation-invalid", e.Problem
			case e.Attested:
				f.Code, f.Severity = "attestation-good", verify.Info
				f.Text = fmt.Sprintf("%s key of card %s, slot %s, firmware %s, PIN %s, touch %s (%s)", role, e.Serial, e.Slot, e.Firmware, e.PINPolicy, e.TouchPolicy, e.Root)
			case role == meta.RoleRoot:
				f.Code, f.Text = "attestation-missing", fmt.Sprintf("nothing proves on which device root key %s was born", k.ShortID())
			default:
				continue
			}
			found = append(found, f)
		}
	}
	return found, nil
}
