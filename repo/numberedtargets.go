package repo

import (
	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

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
