package repo

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
)

// A cold role is never signed by itself: it takes the version of the targets that are
// signed with it, so whatever keeps those from being used twice keeps its own.

// coldStaged is a cold role that is signed anew.
type coldStaged struct {
	targets *Targets
	doc     *Doc // nil until it is numbered
}

// ColdTargets gives a staged cold role, nil if it stays as published.
func (c *Change) ColdTargets(name string) *Targets {
	if s := c.cold[name]; s != nil {
		return s.targets
	}
	return nil
}

// currentCold gives a cold role as the change would publish it.
func (c *Change) currentCold(p *Published, name string) (*Targets, error) {
	if s := c.cold[name]; s != nil {
		return s.targets, nil
	}
	return p.ColdTargets(name)
}

// coldNames lists the roles besides targets that are published or staged.
func (c *Change) coldNames(p *Published) []string {
	names := slices.Collect(maps.Keys(c.cold))
	if p != nil {
		names = append(names, p.Cold()...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// stageCold puts entries in the place of a cold role's; it is numbered by restage.
func (c *Change) stageCold(name string, t *Targets) {
	if c.cold == nil {
		c.cold = map[string]*coldStaged{}
	}
	c.cold[name] = &coldStaged{targets: t}
}

// stageAllCold has every cold role that targets delegates to signed again.
func (c *Change) stageAllCold(p *Published, t *Targets) error {
	d, err := t.delegated()
	if err != nil {
		return err
	}
	for _, cr := range d.roles {
		now, err := c.currentCold(p, cr.Name)
		if err != nil {
			return err
		}
		c.stageCold(cr.Name, now.clone())
	}
	return nil
}

// restageCold numbers and dates the cold roles that are staged, unless they are already.
func (c *Change) restageCold(p *Published, next number, expires time.Time) error {
	if p != nil && p.givenUp {
		if err := c.stageAllCold(p, c.currentTargets(p)); err != nil {
			return err
		}
	}
	for name, s := range c.cold {
		if s.doc != nil && s.doc.version == next.v {
			continue
		}
		s.targets.head.Version, s.targets.head.Expires = next.v, utcSecond(expires)
		signed, err := s.targets.encode()
		if err != nil {
			return err
		}
		s.doc = newColdDoc(name, s.targets, &envelope{signed: signed})
	}
	return nil
}

// followTargets takes keys that are no longer those of targets from the cold roles that had
// them, and has those signed anew: a role with keys of targets alone gets the new set. It
// reports whether any was changed. Errors: *RefusedError{ThresholdHigh}.
func (c *Change) followTargets(p *Published, t *Targets) (bool, error) {
	d, err := t.delegated()
	if err != nil || !d.ours || len(d.roles) == 0 {
		return false, nil // of another form: see checkCold
	}
	now, need := c.root.Keys(RoleTargets), c.root.Threshold(RoleTargets)
	var roles []ColdRole
	changed := false
	for _, cr := range d.roles {
		after := cr.clone()
		after.Keys = slices.DeleteFunc(after.Keys, func(k Key) bool {
			return hasKey(p.Root.Keys(RoleTargets), k.ID) && !hasKey(now, k.ID)
		})
		after.Threshold = max(after.Threshold, need)
		borrowed := !slices.ContainsFunc(cr.Keys, func(k Key) bool { return !hasKey(p.Root.Keys(RoleTargets), k.ID) })
		if borrowed && (len(after.Keys) < len(cr.Keys) || cr.Threshold != need) {
			after.Keys, after.Threshold = now, need
		}
		if len(after.Keys) < after.Threshold {
			return false, refuse(ThresholdHigh, "role %q would have %d key(s), and targets needs %d signatures; give the cold roles other keys first", cr.Name, len(after.Keys), need)
		}
		if after.Threshold != cr.Threshold || !sameKeySet(after.Keys, cr.Keys) {
			signed, err := c.currentCold(p, cr.Name)
			if err != nil {
				return false, err
			}
			c.stageCold(cr.Name, signed.clone())
			changed = true
		}
		roles = append(roles, after)
	}
	if !changed {
		return false, nil
	}
	return true, t.setDelegated(roles)
}

// newColdDoc is met by nobody until targets says who signs for it: see refreshColdSets.
func newColdDoc(name string, t *Targets, env *envelope) *Doc {
	return &Doc{role: name, version: t.Version(), expires: t.Expires(), env: env, sets: []keySet{{threshold: 1}}}
}

// outlivedBy gives the expiry of new targets: the usual one, or that of the first cold
// role that would be expired by then.
func (c *Change) outlivedBy(p *Published, usual time.Time) (time.Time, error) {
	first := usual
	for _, s := range c.cold {
		if s.targets.Expires().Before(first) {
			first = s.targets.Expires()
		}
	}
	if p == nil {
		return first, nil
	}
	published, err := p.coldExpiry(func(name string) bool { return c.cold[name] != nil })
	if err == nil && !published.IsZero() && published.Before(first) {
		first = published
	}
	return utcSecond(first), err
}

// refreshColdSets tells the documents of cold roles which keys count.
func (c *Change) refreshColdSets() {
	if c.targets == nil {
		return
	}
	d, err := c.targets.delegated()
	if err != nil {
		return // checkCold refuses it
	}
	for name, s := range c.cold {
		if cr, ok := d.find(name); ok {
			s.doc.sets, s.doc.lender = []keySet{{cr.Keys, cr.Threshold}}, c.root.Keys(RoleTargets)
		}
	}
}

// put takes the file of a role.
func (f *changeFile) put(role string, data []byte) {
	switch role {
	case RoleRoot:
		f.Root = data
	case RoleTargets:
		f.Targets = data
	default:
		if f.Cold == nil {
			f.Cold = map[string]json.RawMessage{}
		}
		f.Cold[role] = data
	}
}

// readCold takes the cold roles of a file. They come with the targets of the same version,
// which name their keys.
func (c *Change) readCold(file string, cold map[string]json.RawMessage) error {
	if len(cold) == 0 {
		return nil
	}
	if c.targets == nil {
		return &MetadataError{File: file, Reason: "holds cold roles and no targets"}
	}
	d, err := c.targets.delegated()
	if err != nil {
		return &MetadataError{File: file, Reason: "staged targets", Err: err}
	}
	for name, data := range cold {
		// One that agents refuse is told by checkCold, in its own words.
		if !slices.ContainsFunc(d.raw.Roles, func(ro delegatedRole) bool { return ro.Name == name }) {
			return &MetadataError{File: file, Reason: fmt.Sprintf("holds role %.60q, to which its targets do not delegate", name)}
		}
		env, err := parseEnvelope(data)
		if err != nil {
			return &MetadataError{File: file, Reason: fmt.Sprintf("staged role %q", name), Err: err}
		}
		t, err := parseTargets(env.text())
		if err != nil {
			return &MetadataError{File: file, Reason: fmt.Sprintf("staged role %q", name), Err: err}
		}
		if t.Version() != c.targets.Version() {
			return &MetadataError{File: file, Reason: fmt.Sprintf("staged role %q is v%d, and the targets staged with it v%d", name, t.Version(), c.targets.Version())}
		}
		c.stageCold(name, t)
		c.cold[name].doc = newColdDoc(name, t, env)
	}
	return nil
}

// coldFiles gives the cold roles of a change as they will stand on disk, by file name.
func (c *Change) coldFiles() (map[string]metaFile, error) {
	files := map[string]metaFile{}
	for name, s := range c.cold {
		b, err := s.doc.env.bytes()
		if err != nil {
			return nil, err
		}
		if len(b) > tuf.MaxTargets {
			return nil, refuse(TooLarge, "%s.json would be %d bytes", name, len(b))
		}
		files[name+".json"] = metaFile{s.doc.version, b}
	}
	return files, nil
}
