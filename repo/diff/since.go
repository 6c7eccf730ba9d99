package diff

import (
	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// maxSince is how many roots are looked at to say since when a key serves.
const maxSince = 500

// tellSince says of the keys in a review since which root they have their role without a
// break, as far as the roots are here.
func tellSince(r *repo.Repo, p *repo.Published, review *Review) {
	for i := range review.Roles {
		rc := &review.Roles[i]
		if rc.Role != meta.RoleRoot {
			continue
		}
		since := since(r, p)
		for j := range rc.Stays {
			rc.Stays[j].Since = since[served{rc.Stays[j].Role, rc.Stays[j].KeyID}]
		}
		for j := range rc.Keys {
			if !rc.Keys[j].Gains {
				rc.Keys[j].Since = since[served{rc.Keys[j].Role, rc.Keys[j].KeyID}]
			}
		}
	}
}

// served is a key in a role.
type served struct {
	role string
	id   tuf.KeyID
}

// since walks back from the published root. A root that is not here ends the walk: what
// was before it is unknown, and the keys that go back so far have no number.
func since(r *repo.Repo, p *repo.Published) map[served]int64 {
	open := map[served]bool{}
	for _, role := range meta.Roles() {
		for _, k := range p.Root.Keys(role) {
			open[served{role, k.ID}] = true
		}
	}
	out := map[served]int64{}
	n := p.Root.Version()
	for ; n > 1 && len(open) > 0 && p.Root.Version()-n < maxSince; n-- {
		before, err := r.NumberedRoot(n - 1)
		if err != nil {
			return out
		}
		for s := range open {
			if !meta.HasKey(before.Keys(s.role), s.id) {
				out[s] = n
				delete(open, s)
			}
		}
	}
	if n == 1 {
		for s := range open {
			out[s] = 1
		}
	}
	return out
}
