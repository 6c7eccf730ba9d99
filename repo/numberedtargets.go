package repo

import (
	"fmt"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// NumberedTargets is one N.targets.json, for its history.
type NumberedTargets struct {
	Version int64
	Targets *meta.Targets // nil if the file cannot be read
	Err     error
}

// History reads every N.targets.json that is kept, ascending, and the published one
// if it has no numbered copy (flat layout). Signatures are not checked: the keys of
// old versions may be gone from root. What cannot be read is listed with its error.
func (r *Repo) History(p *Published) ([]NumberedTargets, error) {
	lists, err := r.numbered()
	if err != nil {
		return nil, err
	}
	var out []NumberedTargets
	current := false
	for _, n := range lists[meta.RoleTargets] {
		t, err := r.NumberedTargets(meta.RoleTargets, n)
		if err == nil && t.Version() != n {
			t, err = nil, &meta.FileError{File: "repository/" + versioned(n, "targets.json"), Reason: fmt.Sprintf("is version %d", t.Version())}
		}
		current = current || n == p.Targets.Version()
		out = append(out, NumberedTargets{Version: n, Targets: t, Err: err})
	}
	if !current {
		out = append(out, NumberedTargets{Version: p.Targets.Version(), Targets: p.Targets})
	}
	return out, nil
}

// NumberedTargets reads N.ROLE.json of targets or of a role below it; signatures are not
// checked.
func (r *Repo) NumberedTargets(role string, n int64) (*meta.Targets, error) {
	name := versioned(n, role+".json")
	data, err := r.readMetadata(name, tuf.MaxTargets)
	if err != nil {
		return nil, err
	}
	env, err := meta.ParseEnvelope(data)
	if err != nil {
		return nil, &meta.FileError{File: "repository/" + name, Err: err}
	}
	return meta.ParseTargets(env.Text())
}
