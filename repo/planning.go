package repo

// Following says which of snapshot and timestamp commit will sign besides a change,
// in the order in which they sign. Nobody needs to have signed the change yet.
func (r *Repo) Following(p *Published, c *Change, opts ReleaseOptions) []string {
	rel := &Release{p: p, c: c, root: c.root, opts: opts, now: r.now()}
	rel.decide()
	return rel.Roles()
}
