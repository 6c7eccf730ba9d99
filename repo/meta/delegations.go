package meta

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"

	"github.com/secure-systems-lab/go-securesystemslib/cjson"
	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
)

// ColdRole is a role that targets.json delegates paths to by pattern, to hold the entries
// of versions that agents no longer follow: they look for a target in targets.json first,
// and fetch another role only for what is not there (COMPAT 6).
type ColdRole struct {
	Name      string
	Patterns  []string
	Keys      []Key
	Threshold int
}

// Matches reports whether clients look for a path in the role.
func (cr ColdRole) Matches(p string) bool {
	return slices.ContainsFunc(cr.Patterns, func(pattern string) bool {
		ok, err := path.Match(pattern, p)
		return err == nil && ok
	})
}

// Clone makes a role that can be changed without changing cr.
func (cr ColdRole) Clone() ColdRole {
	cr.Patterns, cr.Keys = slices.Clone(cr.Patterns), slices.Clone(cr.Keys)
	return cr
}

// delegations is that field of targets.json, as it is written.
type delegations struct {
	Keys  map[string]*metadata.Key `json:"keys"`
	Roles []DelegatedRole          `json:"roles"`
}

// DelegatedRole is one of them as it is written, in whatever form.
type DelegatedRole struct {
	KeyIDs      []string `json:"keyids"`
	Name        string   `json:"name"`
	Prefixes    []string `json:"path_hash_prefixes,omitempty"`
	Paths       []string `json:"paths,omitempty"`
	Terminating bool     `json:"terminating"`
	Threshold   int      `json:"threshold"`
}

// Delegated is what a targets.json delegates to.
type Delegated struct {
	Raw   delegations
	Roles []ColdRole
	// others are roles of another form, which no command of ours makes.
	others []string
	// ours: written by us it would be the same bytes, so nothing is lost by doing so.
	Ours bool
}

// Find gives the role of a name.
func (d *Delegated) Find(name string) (ColdRole, bool) {
	for _, cr := range d.Roles {
		if cr.Name == name {
			return cr, true
		}
	}
	return ColdRole{}, false
}

// RawDelegations is that field as it stands there.
func (t *Targets) RawDelegations() json.RawMessage { return t.rest["delegations"] }

// Delegated reads what targets.json delegates to; nothing if it delegates to nobody.
func (t *Targets) Delegated() (*Delegated, error) {
	if t.parsed != nil {
		return t.parsed, nil
	}
	raw, there := t.rest["delegations"]
	d := &Delegated{Ours: true}
	if !there {
		return d, nil
	}
	if err := json.Unmarshal(raw, &d.Raw); err != nil {
		return nil, fmt.Errorf("delegations: %w", err)
	}
	keys, err := delegationKeys(raw, d.Raw.Keys)
	if err != nil {
		return nil, fmt.Errorf("delegations: %w", err)
	}
	for _, ro := range d.Raw.Roles {
		cr := ColdRole{Name: ro.Name, Patterns: ro.Paths, Threshold: ro.Threshold}
		for _, id := range ro.KeyIDs {
			if k, ok := keys[id]; ok {
				cr.Keys = append(cr.Keys, k)
			}
		}
		if ro.Terminating || len(ro.Prefixes) > 0 || len(ro.Paths) == 0 || len(cr.Keys) != len(ro.KeyIDs) || ro.Threshold < 1 {
			d.others = append(d.others, ro.Name)
			continue
		}
		d.Roles = append(d.Roles, cr)
	}
	again, err := encodeDelegations(d.Roles)
	if err != nil {
		return nil, err
	}
	canonical, err := cjson.EncodeCanonical(json.RawMessage(raw))
	d.Ours = err == nil && len(d.others) == 0 && bytes.Equal(again, canonical)
	t.parsed = d
	return d, nil
}

func delegationKeys(raw []byte, objects map[string]*metadata.Key) (map[string]Key, error) {
	var read struct {
		Keys map[tuf.KeyID]*tuf.KeyObject `json:"keys"`
	}
	if err := json.Unmarshal(raw, &read); err != nil {
		return nil, err
	}
	keys := map[string]Key{}
	for id, o := range read.Keys {
		pub, err := o.Public(id)
		if err != nil {
			return nil, err
		}
		keys[id.String()] = Key{ID: id, Public: pub, object: objects[id.String()]}
	}
	return keys, nil
}

// encodeDelegations writes the field in canonical form.
func encodeDelegations(roles []ColdRole) ([]byte, error) {
	d := delegations{Keys: map[string]*metadata.Key{}, Roles: []DelegatedRole{}}
	for _, cr := range roles {
		ro := DelegatedRole{Name: cr.Name, Paths: cr.Patterns, Threshold: cr.Threshold}
		for _, k := range cr.Keys {
			d.Keys[k.ID.String()] = k.object
			ro.KeyIDs = append(ro.KeyIDs, k.ID.String())
		}
		d.Roles = append(d.Roles, ro)
	}
	return cjson.EncodeCanonical(d)
}

// SetDelegated puts roles in place of those that targets.json delegates to.
func (t *Targets) SetDelegated(roles []ColdRole) error {
	raw, err := encodeDelegations(roles)
	if err != nil {
		return err
	}
	t.rest = maps.Clone(t.rest) // clones share it
	// In JSON a line end stands as an escape; canonical JSON leaves it bare.
	t.rest["delegations"], t.parsed = escapeControls(raw), nil
	return nil
}

// CheckCold says why the keys that t names for a role below it do not accept a file.
func (t *Targets) CheckCold(name, shown string, env *Envelope) error {
	d, err := t.Delegated()
	if err != nil {
		return &FileError{File: "repository/targets.json", Err: err}
	}
	cr, ok := d.Find(name)
	if !ok {
		return nil // of another form, or below another role: the judge looks at it
	}
	if have := len(env.Counted(cr.Keys)); have < cr.Threshold {
		return &FileError{File: shown, Reason: fmt.Sprintf("%d of %d signatures verify with the keys that targets v%d names for it", have, cr.Threshold, t.Version())}
	}
	return nil
}
