package repo

import (
	"bytes"

	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// toPublish lists the targets whose bytes a release puts in place: those whose entry is new
// or changed, or all if the layout changes. An entry that only goes from one role to
// another has its bytes where they are.
func (rel *Release) toPublish() ([]meta.Target, error) {
	var out []meta.Target
	roles, err := rel.rolesToPublish()
	if err != nil {
		return nil, err
	}
	for _, t := range roles {
		for _, path := range t.Paths() {
			stays, err := rel.hasBytes(path, t.Entry(path))
			if err != nil {
				return nil, err
			}
			if stays {
				continue
			}
			target, _, err := t.Get(path)
			if err == nil {
				err = meta.CheckPath(path)
			}
			if err != nil {
				return nil, err
			}
			out = append(out, target)
		}
	}
	return out, nil
}

// rolesToPublish gives the roles that hold entries which may need bytes.
func (rel *Release) rolesToPublish() ([]*meta.Targets, error) {
	hot := rel.c.targets
	if hot == nil {
		hot = rel.p.Targets
	}
	roles := []*meta.Targets{hot}
	for _, name := range rel.c.ColdNames(rel.p) {
		if rel.c.cold[name] == nil && !rel.layoutFlips() {
			continue
		}
		t, err := rel.c.CurrentCold(rel.p, name)
		if err != nil {
			return nil, err
		}
		roles = append(roles, t)
	}
	if !rel.layoutFlips() {
		return roles, nil
	}
	// Clients look in the roles of others too.
	for _, name := range rel.p.Listed() {
		if rel.p.delegates(name) {
			continue
		}
		t, err := rel.p.ListedTargets(name)
		if err != nil {
			return nil, err
		}
		roles = append(roles, t)
	}
	return roles, nil
}

// hasBytes reports whether an entry is published as it is, in whatever role.
func (rel *Release) hasBytes(path string, entry []byte) (bool, error) {
	if rel.p == nil || rel.layoutFlips() {
		return false, nil
	}
	if bytes.Equal(rel.p.Targets.Entry(path), entry) {
		return true, nil
	}
	_, t, err := rel.p.coldOf(path)
	if err != nil || t == nil {
		return false, err
	}
	return bytes.Equal(t.Entry(path), entry), nil
}

// publishedFile finds a file in the web root that holds the bytes of t.
func (r *Repo) publishedFile(p *Published, t meta.Target) (string, error) {
	missing := meta.Refuse(meta.MissingContent, "the bytes of target %q (sha512 %.16s) are neither staged nor published", t.Path, t.SHA512)
	if p == nil || p.Targets == nil {
		return "", missing
	}
	if name, err := r.fileNamed(p, p.Targets, t); err != nil || name != "" {
		return name, err
	}
	for _, role := range p.Listed() {
		cold, err := p.ListedTargets(role)
		if err != nil {
			return "", err
		}
		if name, err := r.fileNamed(p, cold, t); err != nil || name != "" {
			return name, err
		}
	}
	return "", missing
}

// fileNamed is publishedFile among the entries of one role; "" for none.
func (r *Repo) fileNamed(p *Published, role *meta.Targets, t meta.Target) (string, error) {
	for path, raw := range role.All() {
		if !bytes.Contains(raw, []byte(t.SHA512)) || meta.CheckPath(path) != nil {
			continue
		}
		name := r.PublishedPath(p, path, t.SHA512)
		if err := r.unlinked("repository/targets/" + r.pathOf(p, path, t.SHA512)); err != nil {
			return "", err
		}
		if CheckSize(name, t) == nil {
			return name, nil
		}
	}
	return "", nil
}
