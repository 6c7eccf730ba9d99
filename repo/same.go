package repo

import (
	"bytes"

	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// Holds reports whether adding the items would change nothing but numbers and dates: what
// they say is published with these very bytes, and what is published needs no new
// signature. Whatever is in doubt is not held, so that add goes on and says it.
func (r *Repo) Holds(p *Published, items []StagedItem) bool {
	if p.NeedsTargets() || p.NeedsTimestamp() || p.Expired(r.now(), meta.Roles()...) != nil || r.CheckPublishable(p) != nil {
		return false
	}
	if r.judge != nil {
		if found, err := r.faults(p); err != nil || len(found) > 0 {
			return false
		}
	}
	wanted := meta.NewTargets()
	for _, it := range items {
		paths, err := it.Item.Paths()
		if err != nil {
			return false
		}
		for _, path := range paths {
			t := meta.Target{Path: path, Length: it.Content.Length, SHA512: it.Content.SHA512, Version: it.Item.Version}
			if wanted.Set(t) != nil || !bytes.Equal(wanted.Entry(path), p.entry(path)) {
				return false
			}
			if r.unlinked("repository/targets/"+r.pathOf(p, path, t.SHA512)) != nil || r.checkContent(r.PublishedPath(p, path, t.SHA512), t) != nil {
				return false
			}
		}
	}
	return true
}
