package repo

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/repo/delegation"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// A cold role is never signed by itself: it takes the version of the targets that are
// signed with it, so whatever keeps those from being used twice keeps its own.

// coldStaged is a cold role that is signed anew.
type coldStaged struct {
	targets *meta.Targets
	doc     *meta.Doc // nil until it is numbered
}

// ColdTargets gives a staged cold role, nil if it stays as published.
func (c *Change) ColdTargets(name string) *meta.Targets {
	if s := c.cold[name]; s != nil {
		return s.targets
	}
	return nil
}

// StagedCold lists the cold roles that are signed anew, sorted.
func (c *Change) StagedCold() []string { return slices.Sorted(maps.Keys(c.cold)) }

// CurrentCold gives a cold role as the change would publish it.
func (c *Change) CurrentCold(p *Published, name string) (*meta.Targets, error) {
	if s := c.cold[name]; s != nil {
		return s.targets, nil
	}
	return p.ColdTargets(name)
}

// ColdNames lists the roles besides targets that are published or staged.
func (c *Change) ColdNames(p *Published) []string {
	names := slices.Collect(maps.Keys(c.cold))
	if p != nil {
		names = append(names, p.Cold()...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// StageCold puts entries in the place of a cold role's; it is numbered by restage.
func (c *Change) StageCold(name string, t *meta.Targets) {
	if c.cold == nil {
		c.cold = map[string]*coldStaged{}
	}
	c.cold[name] = &coldStaged{targets: t}
}

// StageAllCold has every cold role that targets delegates to signed again.
func (c *Change) StageAllCold(p *Published, t *meta.Targets) error {
	d, err := t.Delegated()
	if err != nil {
		return err
	}
	for _, cr := range d.Roles {
		now, err := c.CurrentCold(p, cr.Name)
		if err != nil {
			return err
		}
		c.StageCold(cr.Name, now.Clone())
	}
	return nil
}

// restageCold numbers and dates the cold roles that are staged, unless they are already.
func (c *Change) restageCold(p *Published, next number, expires time.Time) error {
	if p != nil && p.givenUp {
		if err := c.StageAllCold(p, c.CurrentTargets(p)); err != nil {
			return err
		}
	}
	for name, s := range c.cold {
		if s.doc != nil && s.doc.Version() == next.v {
			continue
		}
		s.targets.Renumber(next.v, expires)
		signed, err := s.targets.Encode()
		if err != nil {
			return err
		}
		s.doc = newColdDoc(name, s.targets, meta.NewEnvelope(signed))
	}
	return nil
}

// followTargets takes keys that are no longer those of targets from the cold roles that had
// them, and has those signed anew: a role with keys of targets alone gets the new set. It
// reports whether any was changed. Errors: *RefusedError{ThresholdHigh}.
func (c *Change) followTargets(p *Published, t *meta.Targets) (bool, error) {
	d, err := t.Delegated()
	if err != nil || !d.Ours || len(d.Roles) == 0 {
		return false, nil // of another form: see CheckDelegations
	}
	now, need := c.root.Keys(meta.RoleTargets), c.root.Threshold(meta.RoleTargets)
	var roles []meta.ColdRole
	changed := false
	for _, cr := range d.Roles {
		after := cr.Clone()
		after.Keys = slices.DeleteFunc(after.Keys, func(k meta.Key) bool {
			return meta.HasKey(p.Root.Keys(meta.RoleTargets), k.ID) && !meta.HasKey(now, k.ID)
		})
		after.Threshold = max(after.Threshold, need)
		borrowed := !slices.ContainsFunc(cr.Keys, func(k meta.Key) bool { return !meta.HasKey(p.Root.Keys(meta.RoleTargets), k.ID) })
		if borrowed && (len(after.Keys) < len(cr.Keys) || cr.Threshold != need) {
			after.Keys, after.Threshold = now, need
		}
		if len(after.Keys) < after.Threshold {
			return false, meta.Refuse(meta.ThresholdHigh, "role %q would have %d key(s), and targets needs %d signatures; give the cold roles other keys first", cr.Name, len(after.Keys), need)
		}
		if after.Threshold != cr.Threshold || !meta.SameKeySet(after.Keys, cr.Keys) {
			signed, err := c.CurrentCold(p, cr.Name)
			if err != nil {
				return false, err
			}
			c.StageCold(cr.Name, signed.Clone())
			changed = true
		}
		roles = append(roles, after)
	}
	if !changed {
		return false, nil
	}
	return true, t.SetDelegated(roles)
}

// newColdDoc is met by nobody until targets says who signs for it: see refreshColdSets.
func newColdDoc(name string, t *meta.Targets, env *meta.Envelope) *meta.Doc {
	d := meta.NewDoc(name, t.Version(), t.Expires(), env)
	d.SignWith(meta.KeySet{Threshold: 1})
	return d
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
	return meta.UTCSecond(first), err
}

// refreshColdSets tells the documents of cold roles which keys count.
func (c *Change) refreshColdSets() {
	if c.targets == nil {
		return
	}
	d, err := c.targets.Delegated()
	if err != nil {
		return // CheckDelegations refuses it
	}
	for name, s := range c.cold {
		if cr, ok := d.Find(name); ok {
			s.doc.SignWith(meta.KeySet{Keys: cr.Keys, Threshold: cr.Threshold})
			s.doc.Lend(c.root.Keys(meta.RoleTargets))
		}
	}
}

// CheckDelegations refuses a change after which agents would meet one of the traps of
// delegated roles. Every change that is staged, signed or asked for passes it. Errors:
// *RefusedError{ColdTrap}.
func CheckDelegations(p *Published, c *Change) error {
	d := delegation.Change{After: c.targets, Threshold: c.root.Threshold(meta.RoleTargets)}
	if p != nil {
		d.Before, d.Published = p.Targets, p
	}
	for name, s := range c.cold {
		if d.Staged == nil {
			d.Staged = map[string]delegation.Staged{}
		}
		d.Staged[name] = delegation.Staged{Version: s.doc.Version(), Targets: s.targets}
	}
	return delegation.Check(d)
}

// put takes the file of a role.
func (f *changeFile) put(role string, data []byte) {
	switch role {
	case meta.RoleRoot:
		f.Root = data
	case meta.RoleTargets:
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
		return &meta.FileError{File: file, Reason: "holds cold roles and no targets"}
	}
	d, err := c.targets.Delegated()
	if err != nil {
		return &meta.FileError{File: file, Reason: "staged targets", Err: err}
	}
	for name, data := range cold {
		// One that agents refuse is told by CheckDelegations, in its own words.
		if !slices.ContainsFunc(d.Raw.Roles, func(ro meta.DelegatedRole) bool { return ro.Name == name }) {
			return &meta.FileError{File: file, Reason: fmt.Sprintf("holds role %.60q, to which its targets do not delegate", name)}
		}
		env, err := meta.ParseEnvelope(data)
		if err != nil {
			return &meta.FileError{File: file, Reason: fmt.Sprintf("staged role %q", name), Err: err}
		}
		t, err := meta.ParseTargets(env.Text())
		if err != nil {
			return &meta.FileError{File: file, Reason: fmt.Sprintf("staged role %q", name), Err: err}
		}
		if t.Version() != c.targets.Version() {
			return &meta.FileError{File: file, Reason: fmt.Sprintf("staged role %q is v%d, and the targets staged with it v%d", name, t.Version(), c.targets.Version())}
		}
		c.StageCold(name, t)
		c.cold[name].doc = newColdDoc(name, t, env)
	}
	return nil
}

// coldFiles gives the cold roles of a change as they will stand on disk, by file name.
func (c *Change) coldFiles() (map[string]meta.File, error) {
	files := map[string]meta.File{}
	for name, s := range c.cold {
		b, err := s.doc.Bytes()
		if err != nil {
			return nil, err
		}
		if len(b) > tuf.MaxTargets {
			return nil, meta.Refuse(meta.TooLarge, "%s.json would be %d bytes", name, len(b))
		}
		files[name+".json"] = meta.File{Version: s.doc.Version(), Data: b}
	}
	return files, nil
}
