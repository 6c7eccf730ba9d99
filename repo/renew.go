package repo

import (
	"time"

	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// Renew stages a role again with the same content and keys and a new expiry: root, or
// targets with the cold roles (snapshot and timestamp follow at commit). It is what a quiet repository
// needs before root or targets expire. Errors: *RefusedError.
func (r *Repo) Renew(p *Published, staged *Change, role string, opts StageOptions) (*Change, error) {
	c := r.start(p, staged)
	if role == meta.RoleRoot {
		if err := r.restageRoot(p, c, c.root.Clone(), opts); err != nil {
			return nil, err
		}
		c.intend("renew root: expires %s", c.root.Expires().Format(time.DateOnly))
		return c, r.resignTargets(p, c, opts)
	}
	if err := c.stageAllCold(p, c.currentTargets(p)); err != nil {
		return nil, err
	}
	if err := r.restage(p, c, c.currentTargets(p).Clone(), opts); err != nil {
		return nil, err
	}
	c.intend("renew targets: expires %s", c.targets.Expires().Format(time.DateOnly))
	return c, nil
}
