package repo

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"time"

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

// matches reports whether clients look for a path in the role.
func (cr ColdRole) matches(p string) bool {
	return slices.ContainsFunc(cr.Patterns, func(pattern string) bool {
		ok, err := path.Match(pattern, p)
		return err == nil && ok
	})
}

func (cr ColdRole) clone() ColdRole {
	cr.Patterns, cr.Keys = slices.Clone(cr.Patterns), slices.Clone(cr.Keys)
	return cr
}

// delegations is that field of targets.json, as it is written.
type delegations struct {
	Keys  map[string]*metadata.Key `json:"keys"`
	Roles []delegatedRole          `json:"roles"`
}

type delegatedRole struct {
	KeyIDs      []string `json:"keyids"`
	Name        string   `json:"name"`
	Prefixes    []string `json:"path_hash_prefixes,omitempty"`
	Paths       []string `json:"paths,omitempty"`
	Terminating bool     `json:"terminating"`
	Threshold   int      `json:"threshold"`
}

// delegated is what a targets.json delegates to.
type delegated struct {
	raw   delegations
	roles []ColdRole
	// others are roles of another form, which no command of ours makes.
	others []string
	// ours: written by us it would be the same bytes, so nothing is lost by doing so.
	ours bool
}

// find gives the role of a name.
func (d *delegated) find(name string) (ColdRole, bool) {
	for _, cr := range d.roles {
		if cr.Name == name {
			return cr, true
		}
	}
	return ColdRole{}, false
}

// delegated reads what targets.json delegates to; nothing if it delegates to nobody.
func (t *Targets) delegated() (*delegated, error) {
	if t.parsed != nil {
		return t.parsed, nil
	}
	raw, there := t.rest["delegations"]
	d := &delegated{ours: true}
	if !there {
		return d, nil
	}
	if err := json.Unmarshal(raw, &d.raw); err != nil {
		return nil, fmt.Errorf("delegations: %w", err)
	}
	keys, err := delegationKeys(raw, d.raw.Keys)
	if err != nil {
		return nil, fmt.Errorf("delegations: %w", err)
	}
	for _, ro := range d.raw.Roles {
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
		d.roles = append(d.roles, cr)
	}
	again, err := encodeDelegations(d.roles)
	if err != nil {
		return nil, err
	}
	canonical, err := cjson.EncodeCanonical(json.RawMessage(raw))
	d.ours = err == nil && len(d.others) == 0 && bytes.Equal(again, canonical)
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
	d := delegations{Keys: map[string]*metadata.Key{}, Roles: []delegatedRole{}}
	for _, cr := range roles {
		ro := delegatedRole{Name: cr.Name, Paths: cr.Patterns, Threshold: cr.Threshold}
		for _, k := range cr.Keys {
			d.Keys[k.ID.String()] = k.object
			ro.KeyIDs = append(ro.KeyIDs, k.ID.String())
		}
		d.Roles = append(d.Roles, ro)
	}
	return cjson.EncodeCanonical(d)
}

// setDelegated puts roles in place of those that targets.json delegates to.
func (t *Targets) setDelegated(roles []ColdRole) error {
	raw, err := encodeDelegations(roles)
	if err != nil {
		return err
	}
	t.rest = maps.Clone(t.rest) // clones share it
	// In JSON a line end stands as an escape; canonical JSON leaves it bare.
	t.rest["delegations"], t.parsed = escapeControls(raw), nil
	return nil
}

// listed gives the roles besides targets that the snapshot lists, sorted. Its signature says
// which files they are, not that anybody may sign them: see Cold.
func (p *Published) listed() []string { return slices.Sorted(maps.Keys(p.cold)) }

// Cold lists those of them that targets.json delegates to in a form whose signatures are
// checked here, sorted.
func (p *Published) Cold() []string {
	return slices.DeleteFunc(p.listed(), func(name string) bool { return !p.delegates(name) })
}

func (p *Published) delegates(name string) bool {
	d, err := p.Targets.delegated()
	if err != nil {
		return false // another tool's; the judge says what it makes of it
	}
	_, ok := d.find(name)
	return ok
}

// ColdTargets gives a cold role whose signatures verify with the keys that targets.json
// names for it. Errors: *MetadataError.
func (p *Published) ColdTargets(name string) (*Targets, error) {
	if p.cold[name] != nil && !p.delegates(name) {
		return nil, &MetadataError{File: "repository/" + name + ".json", Reason: "is of a role that targets.json does not delegate to, or in another form; nobody's signature vouches for it here"}
	}
	return p.listedTargets(name)
}

// listedTargets gives what a listed role names, also if nobody vouches for it: enough to
// know which bytes to keep, never to sign any of it. Errors: *MetadataError.
func (p *Published) listedTargets(name string) (*Targets, error) {
	f := p.cold[name]
	if f == nil {
		return nil, &MetadataError{File: "repository/snapshot.json", Reason: fmt.Sprintf("does not list role %q", name)}
	}
	if f.err != nil || f.targets != nil {
		return f.targets, f.err
	}
	shown := "repository/" + name + ".json"
	env, err := parseEnvelope(f.data)
	if err != nil {
		return nil, &MetadataError{File: shown, Err: err}
	}
	if err := p.checkColdSignatures(name, shown, env); err != nil {
		return nil, err
	}
	t, err := parseTargets(env.text())
	if err != nil {
		return nil, &MetadataError{File: shown, Err: err}
	}
	f.env, f.targets = env, t
	return t, nil
}

func (p *Published) checkColdSignatures(name, shown string, env *envelope) error {
	d, err := p.Targets.delegated()
	if err != nil {
		return &MetadataError{File: "repository/targets.json", Err: err}
	}
	cr, ok := d.find(name)
	if !ok {
		return nil // of another form, or below another role: the judge looks at it
	}
	if have := len(env.counted(cr.Keys)); have < cr.Threshold {
		return &MetadataError{File: shown, Reason: fmt.Sprintf("%d of %d signatures verify with the keys that targets v%d names for it", have, cr.Threshold, p.Targets.Version())}
	}
	return nil
}

// coldOf finds the role besides targets that holds a path.
func (p *Published) coldOf(path string) (role string, t *Targets, err error) {
	if len(p.cold) == 0 {
		return "", nil, nil
	}
	d, err := p.Targets.delegated()
	if err != nil {
		return "", nil, &MetadataError{File: "repository/targets.json", Err: err}
	}
	for _, name := range p.Cold() {
		if cr, _ := d.find(name); !cr.matches(path) || !p.cold[name].mayName(path) {
			continue
		}
		t, err := p.ColdTargets(name)
		if err != nil {
			return "", nil, err
		}
		if _, there := t.entries[path]; there {
			return name, t, nil
		}
	}
	return "", nil, nil
}

// coldExpiry is when the first of the cold roles expires that do so no earlier than the
// published targets; zero if there is none. New targets do not outlive it: an agent that
// has stored a role finds nothing at all once that role is expired.
func (p *Published) coldExpiry(skip func(name string) bool) (time.Time, error) {
	var first time.Time
	for _, name := range p.Cold() {
		if skip(name) {
			continue
		}
		at, err := p.coldExpires(name)
		if err != nil {
			return first, err
		}
		if !at.Before(p.Targets.Expires()) && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	return first, nil
}
