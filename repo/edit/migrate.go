package edit

import (
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// Migrate stages a root that says consistent snapshots, on a flat repository. At
// commit every target is put under its hashed name and N.targets.json and
// N.snapshot.json of the versions in force are written before the root that tells
// clients to ask for them, so that agents verify at every moment. The plain files
// stay for agents that are just fetching; [FindUnreferenced] lists them once the grace is
// over. Everything that could fail at commit is refused here. Errors:
// *RefusedError{NoChange, MissingContent}, *NameError, *ContentError.
func Migrate(r *repo.Repo, p *repo.Published, staged *repo.Change, opts repo.StageOptions) (*repo.Change, error) {
	c := r.Start(p, staged)
	if c.Root().ConsistentSnapshot() {
		return nil, meta.Refuse(meta.NoChange, "the repository has consistent snapshots already")
	}
	if err := checkHashable(r, p); err != nil {
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

// checkHashable refuses targets that cannot be given a hashed name.
func checkHashable(r *repo.Repo, p *repo.Published) error {
	for _, name := range p.Targets.Paths() {
		t, _, err := p.Targets.Get(name)
		if err != nil {
			return err
		}
		if err := meta.CheckPath(name); err != nil {
			return err
		}
		if t.SHA512 == "" {
			return meta.Refuse(meta.MissingContent, "target %q has no sha512, so it cannot be given a hashed name; add it again or remove it first", name)
		}
		if last := path.Base(name); len(last) > meta.MaxLastElement {
			return &meta.NameError{What: "target file name", Value: last, Reason: fmt.Sprintf("%d bytes; at most %d fit behind a hash; remove it first", len(last), meta.MaxLastElement)}
		}
		err = repo.CheckSize(web(r, "targets/"+name), t)
		if errors.Is(err, fs.ErrNotExist) {
			return meta.Refuse(meta.MissingContent, "target %q is in targets.json and not in the folder; add it again or remove it first", name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
