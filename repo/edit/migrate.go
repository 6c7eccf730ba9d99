package edit

import (
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// Migrate stages a root that says consistent snapshots, on a flat repository. At
// commit every target is put under its hashed name and N.targets.json and
// N.snapshot.json of the versions in force are written before the root that tells
// clients to ask for them, so that agents verify at every moment. The plain files
// stay for agents that are just fetching; [Repo.Unreferenced] lists them once the grace is
// over. Everything that could fail at commit is refused here. Errors:
// *RefusedError{NoChange, MissingContent}, *NameError, *ContentError.
func Migrate(r *repo.Repo, p *repo.Published, staged *repo.Change, opts repo.StageOptions) (*repo.Change, error) {
	c := r.Start(p, staged)
	if c.Root().ConsistentSnapshot() {
		return nil, meta.Refuse(meta.NoChange, "the repository has consistent snapshots already")
	}
	if err := r.CheckHashable(p); err != nil {
		return nil, err
	}
	root := c.Root().Clone()
	root.SetConsistent()
	if err := r.RestageRoot(p, c, root, opts); err != nil {
		return nil, err
	}
	c.Intend("migrate to consistent snapshots (%d targets under hashed names)", c.CurrentTargets(p).Len())
	return c, r.ResignTargets(p, c, opts)
}
