package repo

import (
	"slices"

	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// coldOf finds the role besides targets in which the change leaves a path, and its entry.
func (c *Change) coldOf(p *Published, path string) (role string, target meta.Target, err error) {
	for _, name := range c.coldNames(p) {
		if !c.mayHold(p, name, path) {
			continue
		}
		t, err := c.currentCold(p, name)
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
	d, err := c.currentTargets(p).Delegated()
	if err != nil {
		return true
	}
	if cr, ok := d.Find(name); ok && !cr.Matches(path) {
		return false
	}
	return c.cold[name] != nil || p.cold[name].mayName(path)
}

// inChannel is that of targets and, unless it is a channel that moves, of the cold roles:
// they hold versions alone, and a version is a channel too.
func (c *Change) inChannel(p *Published, t *meta.Targets, channel string) ([]meta.Row, error) {
	rows, err := t.InChannel(channel)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(rows, func(r meta.Row) bool { return r.Version != channel }) {
		return rows, nil
	}
	for _, name := range c.coldNames(p) {
		cold, err := c.currentCold(p, name)
		if err != nil {
			return nil, err
		}
		more, err := cold.InChannel(channel)
		if err != nil {
			return nil, err
		}
		rows = append(rows, more...)
	}
	slices.SortFunc(rows, meta.CompareRows)
	return rows, nil
}

// notArchived refuses a path that lies in a cold role. Errors: *RefusedError{Archived}.
func (c *Change) notArchived(p *Published, path string) error {
	role, t, err := c.coldOf(p, path)
	if err != nil || role == "" {
		return err
	}
	return meta.Refuse(meta.Archived, "target %q (version %s) lies in the archive, in role %q", path, t.Version, role)
}

// hotPaths gives the paths of an item that are to stand in targets.json: an archived
// version stays where it is if the bytes are the same. Errors: *RefusedError{Archived}.
func (c *Change) hotPaths(p *Published, paths []string, it StagedItem) ([]string, error) {
	var out []string
	for _, path := range paths {
		role, t, err := c.coldOf(p, path)
		if err != nil {
			return nil, err
		}
		same := t.SHA512 == it.Content.SHA512 && t.Length == it.Content.Length && t.Version == it.Item.Version
		if role == "" {
			out = append(out, path)
		} else if !same {
			return nil, meta.Refuse(meta.Archived, "target %q lies in the archive with other bytes (sha512 %.16s; the new file has %.16s)", path, t.SHA512, it.Content.SHA512)
		}
	}
	if len(out) == 0 {
		return nil, meta.Refuse(meta.NoChange, "%s %s for %s lies in the archive, and no channel is given to publish it in", it.Item.Name, it.Item.Version, it.Item.Platform)
	}
	return out, nil
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
