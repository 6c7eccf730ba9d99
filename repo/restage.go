package repo

import (
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// StageOptions say how targets and root are made.
type StageOptions struct {
	Expiries     meta.Expiries
	AllowShorter bool
	// Replace permits a version that is published with other bytes.
	Replace bool
}

// Restage numbers and dates changed targets, and the cold roles that are staged with them.
func (r *Repo) Restage(p *Published, c *Change, t *meta.Targets, opts StageOptions) error {
	next, err := r.nextFor(p, meta.RoleTargets)
	if err != nil {
		return err
	}
	usual := meta.UTCSecond(r.now().Add(opts.Expiries.Of(meta.RoleTargets)))
	if err := c.restageCold(p, next, usual); err != nil {
		return err
	}
	expires, err := c.outlivedBy(p, usual)
	if err != nil {
		return err
	}
	if err := checkExpiry(meta.RoleTargets, p, expires, opts.AllowShorter); err != nil {
		return err
	}
	if err := c.setTargets(t, next, expires); err != nil {
		return err
	}
	c.refreshSets() // the keys of cold roles stand in targets
	return nil
}

// RestageRoot numbers and dates a changed root. Errors: *RefusedError.
func (r *Repo) RestageRoot(p *Published, c *Change, root *meta.Root, opts StageOptions) error {
	expires := meta.UTCSecond(r.now().Add(opts.Expiries.Of(meta.RoleRoot)))
	if err := checkExpiry(meta.RoleRoot, p, expires, opts.AllowShorter); err != nil {
		return err
	}
	if err := r.CheckChain(p); err != nil {
		return err
	}
	next, err := r.nextFor(p, meta.RoleRoot)
	if err != nil {
		return err
	}
	return c.setRoot(root, next, expires)
}

// ResignTargets stages the same targets again, at the next version, if the published
// signatures do not meet the new root, or if agents saw newer ones.
func (r *Repo) ResignTargets(p *Published, c *Change, opts StageOptions) error {
	t := c.CurrentTargets(p).Clone()
	lent, err := c.followTargets(p, t)
	if err != nil {
		return err
	}
	if c.targetsDoc != nil && !lent {
		return nil
	}
	if meta.Verify(c.root, meta.RoleTargets, "", p.targetsEnv) == nil && !p.givenUp && !lent {
		return nil
	}
	return r.Restage(p, c, t, opts)
}
