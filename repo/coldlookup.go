package repo

import (
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// ColdOf finds the role besides targets in which the change leaves a path, and its entry.
func (c *Change) ColdOf(p *Published, path string) (role string, target meta.Target, err error) {
	for _, name := range c.ColdNames(p) {
		if !c.mayHold(p, name, path) {
			continue
		}
		t, err := c.CurrentCold(p, name)
		if err != nil {
			return "", meta.Target{}, err
		}
		if target, there, err := t.Get(path); err != nil || there {
			return name, target, err
		}
	}
	return "", meta.Target{}, nil
}

// mayHold reports whether clients look for a path in a role, as far as targets says it,
// and may find it there.
func (c *Change) mayHold(p *Published, name, path string) bool {
	d, err := c.CurrentTargets(p).Delegated()
	if err != nil {
		return true
	}
	if cr, ok := d.Find(name); ok && !cr.Matches(path) {
		return false
	}
	return c.cold[name] != nil || p.cold[name].mayName(path)
}

// archived finds the entry of a cold role that a path below targets/ stands for, as it is
// or named after its hash.
func (p *Published) archived(rel string) (meta.Target, bool, error) {
	for _, name := range p.Cold() {
		t, err := p.ColdTargets(name)
		if err != nil {
			return meta.Target{}, false, err
		}
		found, there, err := t.Get(rel)
		if err == nil && !there {
			found, there, err = t.ByHashedName(rel)
		}
		if err != nil || there {
			return found, there, err
		}
	}
	return meta.Target{}, false, nil
}

// entry gives what is said of a path, in whatever role; nil where nothing is.
func (p *Published) entry(path string) []byte {
	if raw := p.Targets.Entry(path); raw != nil {
		return raw
	}
	_, t, err := p.coldOf(path)
	if err != nil || t == nil {
		return nil // add says it
	}
	return t.Entry(path)
}
