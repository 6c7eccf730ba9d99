package repo

import (
	"fmt"
	"os"

	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// touchRemoved sets the modification time of target files that a release stops
// naming to now, where no metadata tells later when that was: in the flat layout
// there are no numbered targets.json. The grace of [Repo.Unreferenced] counts from it. It
// runs before the journal; a commit that is abandoned then has only made files look
// younger.
func (r *Repo) touchRemoved(rel *Release) error {
	if rel.p == nil || rel.c == nil || rel.p.Targets == nil || rel.p.Root.ConsistentSnapshot() {
		return nil
	}
	flips := rel.layoutFlips()
	if rel.c.targets == nil && !flips {
		return nil
	}
	if err := r.freshen(rel.p.Targets, rel.c.targets, flips); err != nil {
		return err
	}
	for name, s := range rel.c.cold {
		if rel.p.cold[name] == nil {
			continue
		}
		before, err := rel.p.ColdTargets(name)
		if err != nil {
			return err
		}
		if err := r.freshen(before, s.targets, flips); err != nil {
			return err
		}
	}
	return nil
}

// freshen does so for the entries that a role loses, or for all.
func (r *Repo) freshen(before, after *meta.Targets, all bool) error {
	now := r.now()
	for path := range before.All() {
		if after != nil && !all {
			if after.Entry(path) != nil {
				continue
			}
		}
		if meta.CheckPath(path) != nil {
			continue
		}
		err := os.Chtimes(r.web("targets/"+path), now, now)
		if err != nil && !notExist(err) {
			return fmt.Errorf("noting when %q was taken out: %w", path, err)
		}
	}
	return nil
}
