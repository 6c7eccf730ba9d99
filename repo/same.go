package repo

import (
	"bytes"

	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// Holds reports whether these targets are published with these very bytes, and what is
// published needs no new signature. Whatever is in doubt is not held.
func (r *Repo) Holds(p *Published, wanted []meta.Target) bool {
	if p.NeedsTargets() || p.NeedsTimestamp() || p.Expired(r.now(), meta.Roles()...) != nil || r.CheckPublishable(p) != nil {
		return false
	}
	if r.judge != nil {
		if found, err := r.faults(p); err != nil || len(found) > 0 {
			return false
		}
	}
	after := meta.NewTargets()
	for _, t := range wanted {
		if after.Set(t) != nil || !bytes.Equal(after.Entry(t.Path), p.entry(t.Path)) {
			return false
		}
		if r.unlinked("repository/targets/"+r.pathOf(p, t.Path, t.SHA512)) != nil || r.checkContent(r.PublishedPath(p, t.Path, t.SHA512), t) != nil {
			return false
		}
	}
	return true
}
