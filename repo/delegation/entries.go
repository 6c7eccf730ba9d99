package delegation

import (
	"bytes"

	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// staged looks at the entries of the cold roles that are signed anew.
func (k *check) staged() error {
	for name, s := range k.Staged {
		cr, ok := k.is.Find(name)
		if !ok {
			return trap("role %q is signed, and targets.json does not delegate to it", name)
		}
		if len(s.Targets.RawDelegations()) > 0 {
			return trap("role %q delegates further; a search would visit more roles than need be", name)
		}
		if k.Published != nil && s.Version <= k.Published.VersionOf(name) {
			return trap("role %q would be v%d, and v%d is published", name, s.Version, k.Published.VersionOf(name))
		}
		for path := range s.Targets.All() {
			if err := k.entry(cr, s.Targets, path); err != nil {
				return err
			}
		}
	}
	return nil
}

func (k *check) entry(cr meta.ColdRole, t *meta.Targets, path string) error {
	_, _, channel, _, ok := meta.SplitPath(path)
	target, _, err := t.Get(path)
	switch {
	case err != nil:
		return trap("role %q: %v", cr.Name, err)
	case !ok || channel != target.Version:
		return trap("role %q would hold %q, which is a channel: agents that follow it would fetch the role at every poll", cr.Name, path)
	case !cr.Matches(path):
		return trap("role %q would hold %q, which none of its patterns matches: no client looks for it there", cr.Name, path)
	case k.After.Entry(path) != nil:
		return trap("target %q would stand in targets.json and in role %q", path, cr.Name)
	}
	return k.elsewhere(cr.Name, path)
}

// elsewhere refuses a path that another cold role holds too.
func (k *check) elsewhere(name, path string) error {
	for _, other := range k.is.Roles {
		if other.Name == name || !other.Matches(path) {
			continue
		}
		if !k.stages(other.Name) && k.Published != nil && !k.Published.MayName(other.Name, path) {
			continue
		}
		t, err := k.current(other.Name)
		if err != nil {
			return err
		}
		if t != nil && t.Entry(path) != nil {
			return trap("target %q would stand in role %q and in role %q", path, name, other.Name)
		}
	}
	return nil
}

func (k *check) stages(name string) bool { _, ok := k.Staged[name]; return ok }

// current gives a role as it will be; nil where it is not known here, or not yet made.
func (k *check) current(name string) (*meta.Targets, error) {
	if s, ok := k.Staged[name]; ok {
		return s.Targets, nil
	}
	if k.Published == nil || !k.Published.Lists(name) {
		return nil, nil
	}
	return k.Published.ColdTargets(name)
}

// hot: what is new in targets.json stands in no cold role.
func (k *check) hot() error {
	for path, raw := range k.After.All() {
		if bytes.Equal(raw, k.Before.Entry(path)) {
			continue
		}
		if err := k.elsewhere(meta.RoleTargets, path); err != nil {
			return err
		}
	}
	return nil
}
