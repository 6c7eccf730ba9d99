package edit

import (
	"time"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// Renew stages a role again with the same content and keys and a new expiry: root, or
// targets with the cold roles (snapshot and timestamp follow at commit). It is what a quiet repository
// needs before root or targets expire. Errors: *RefusedError.
func Renew(r *repo.Repo, p *repo.Published, staged *repo.Change, role string, opts repo.StageOptions) (*repo.Change, error) {
	c := r.Start(p, staged)
	if role == meta.RoleRoot {
		if err := r.RestageRoot(p, c, c.Root().Clone(), opts); err != nil {
			return nil, err
		}
		c.Intend("renew root: expires %s", c.Root().Expires().Format(time.DateOnly))
		return c, r.ResignTargets(p, c, opts)
	}
	if err := c.StageAllCold(p, c.CurrentTargets(p)); err != nil {
		return nil, err
	}
	if err := r.Restage(p, c, c.CurrentTargets(p).Clone(), opts); err != nil {
		return nil, err
	}
	c.Intend("renew targets: expires %s", c.Targets().Expires().Format(time.DateOnly))
	return c, nil
}
