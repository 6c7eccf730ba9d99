package keyring

import (
	"slices"
	"strings"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

// Entry is what is told of a key.
type Entry struct {
	KeyID     tuf.KeyID `json:"keyid,omitzero"`
	Algorithm string    `json:"algorithm,omitempty"`
	URI       string    `json:"uri"`
	Name      string    `json:"name,omitempty"`
	Roles     []string  `json:"roles,omitempty"`
	Problem   string    `json:"problem,omitempty"`
	*Provenance
}

// Provenance is what a device reports of a key. For PKCS#11 these are claims of the
// module; only an attestation is a proof.
type Provenance struct {
	Origin             string   `json:"origin,omitempty"`
	PINPolicy          string   `json:"pin_policy,omitempty"`
	TouchPolicy        string   `json:"touch_policy,omitempty"`
	Local              *bool    `json:"local,omitempty"`
	NeverExtractable   *bool    `json:"never_extractable,omitempty"`
	AlwaysSensitive    *bool    `json:"always_sensitive,omitempty"`
	Sensitive          *bool    `json:"sensitive,omitempty"`
	Extractable        *bool    `json:"extractable,omitempty"`
	AlwaysAuthenticate *bool    `json:"always_authenticate,omitempty"`
	Mechanism          string   `json:"key_gen_mechanism,omitempty"`
	Token              string   `json:"token,omitempty"`
	Serial             string   `json:"serial,omitempty"`
	Model              string   `json:"model,omitempty"`
	Firmware           string   `json:"firmware,omitempty"`
	Doubtful           string   `json:"doubtful,omitempty"`
	Warnings           []string `json:"warnings,omitempty"`
}

func provenanceOf(i signer.KeyInfo) *Provenance {
	if !i.URI.OnDevice() {
		return nil
	}
	return &Provenance{
		Origin: i.Origin, PINPolicy: i.PINPolicy, TouchPolicy: i.TouchPolicy, Local: i.Local, NeverExtractable: i.NeverExtractable,
		AlwaysSensitive: i.AlwaysSensitive, Sensitive: i.Sensitive, Extractable: i.Extractable, AlwaysAuthenticate: i.AlwaysAuthenticate,
		Mechanism: i.KeyGenMechanism, Token: i.Token.Label, Serial: i.Token.Serial, Model: i.Token.Model, Firmware: i.Token.Firmware,
		Doubtful: Doubtful(i), Warnings: i.Warnings,
	}
}

// AttestEntry is one key's proof.
type AttestEntry struct {
	KeyID       tuf.KeyID `json:"keyid"`
	Roles       []string  `json:"roles,omitempty"`
	Attested    bool      `json:"attested"`
	Problem     string    `json:"problem,omitempty"`
	Serial      string    `json:"serial,omitempty"`
	Slot        string    `json:"slot,omitempty"`
	Firmware    string    `json:"firmware,omitempty"`
	PINPolicy   string    `json:"pin_policy,omitempty"`
	TouchPolicy string    `json:"touch_policy,omitempty"`
	Root        string    `json:"root,omitempty"`
}

// EntryOfProof is what is told of an attestation that holds.
func EntryOfProof(keyID tuf.KeyID, p signer.Attestation) AttestEntry {
	return AttestEntry{
		KeyID: keyID, Attested: true, Serial: p.Serial, Slot: p.Slot, Firmware: p.Firmware,
		PINPolicy: p.PINPolicy, TouchPolicy: p.TouchPolicy, Root: p.Root,
	}
}

// EntryOfStored is what is told of one that is kept.
func EntryOfStored(keyID tuf.KeyID, p StoredProof) AttestEntry {
	e := AttestEntry{KeyID: keyID}
	if p.Public != nil {
		e = EntryOfProof(keyID, p.Attestation)
	}
	e.Attested, e.Problem = p.Attested, p.Problem
	return e
}

// IsRoleFile reports whether a key file is that of a role.
func IsRoleFile(u signer.URI) bool {
	return slices.ContainsFunc(keyRoles(), func(role string) bool { return RoleFile(role).String() == u.String() })
}

// EntryOf adds what a root names, nil without one.
func EntryOf(info signer.KeyInfo, root *meta.Root) Entry {
	e := Entry{Algorithm: string(info.Algorithm), URI: info.URI.String(), Problem: info.Problem}
	if info.Public == nil {
		return e
	}
	e.KeyID, e.Provenance = KeyID(info.Public), provenanceOf(info)
	if root != nil {
		_, e.Roles, _ = root.Key(e.KeyID)
	}
	return e
}

// RolesText are the roles of a proof's key, for people.
func (e AttestEntry) RolesText() string {
	if len(e.Roles) == 0 {
		return "no role"
	}
	return strings.Join(e.Roles, ", ")
}
