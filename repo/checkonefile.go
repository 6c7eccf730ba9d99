package repo

import (
	"errors"

	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/onefile"
)

// checkOneFile refuses a commit that would write over another published path's file,
// whatever makes the two one. Hash-named files of one content may be hard links of each
// other. Errors: *RefusedError{SameFile}.
func (r *Repo) checkOneFile(rel *Release, renames []rename) error {
	var names []string
	for _, m := range renames {
		names = append(names, m.To)
	}
	kept := func() []string { return nil }
	if rel.c != nil {
		kept = rel.publishedNames
	}
	err := onefile.Check(r.dir, "repository/targets/", names, kept, rel.root.ConsistentSnapshot())
	var same *onefile.Error
	if errors.As(err, &same) {
		return meta.Refuse(meta.SameFile, "%v", same)
	}
	return err
}

// publishedNames gives the files of all targets after the commit, as journals name them.
func (rel *Release) publishedNames() []string {
	t := rel.c.targets
	if t == nil {
		t = rel.p.Targets
	}
	names := make([]string, 0, t.Len())
	for _, path := range t.Paths() {
		target, _, err := t.Get(path)
		if err != nil || meta.CheckPath(path) != nil {
			continue // told where it is needed
		}
		if rel.root.ConsistentSnapshot() {
			path = meta.HashedPath(path, target.SHA512)
		}
		names = append(names, "repository/targets/"+path)
	}
	return names
}
