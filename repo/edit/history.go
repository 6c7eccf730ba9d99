package edit

import (
	"fmt"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// Kept is one N.targets.json, for its history.
type Kept struct {
	Version int64
	Targets *meta.Targets // nil if the file cannot be read
	Err     error
}

// History reads every N.targets.json that is kept, ascending, and the published one
// if it has no numbered copy (flat layout). Signatures are not checked: the keys of
// old versions may be gone from root. What cannot be read is listed with its error.
func History(r *repo.Repo, p *repo.Published) ([]Kept, error) {
	versions, err := r.Numbered(meta.RoleTargets)
	if err != nil {
		return nil, err
	}
	var out []Kept
	current := false
	for _, n := range versions {
		t, err := r.NumberedTargets(meta.RoleTargets, n)
		if err == nil && t.Version() != n {
			t, err = nil, &meta.FileError{File: "repository/" + meta.FileName(meta.RoleTargets, n), Reason: fmt.Sprintf("is version %d", t.Version())}
		}
		current = current || n == p.Targets.Version()
		out = append(out, Kept{Version: n, Targets: t, Err: err})
	}
	if !current {
		out = append(out, Kept{Version: p.Targets.Version(), Targets: p.Targets})
	}
	return out, nil
}
