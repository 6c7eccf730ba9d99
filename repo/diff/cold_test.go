package diff_test

import (
	"slices"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/bundle"
	"github.com/fleet-hsm/fleet-hsm/repo/diff"
	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

// coldReview is what a review says of a change that touches cold roles.
func coldReview(t *testing.T, d *repotest.Daily, p *repo.Published, c *repo.Change) map[string]diff.RoleReview {
	t.Helper()
	review, err := diff.Of(d.Repo, p, c, meta.Expiries{})
	if err != nil {
		t.Fatal(err)
	}
	x, err := bundle.Export(d.Repo, p, c)
	if err != nil {
		t.Fatal(err)
	}
	im, err := bundle.Import("request", x, d.Now())
	if err != nil {
		t.Fatal(err)
	}
	elsewhere, err := diff.New(im.Published, im.Change, meta.Expiries{}, d.Now())
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]diff.RoleReview{}
	for i, rr := range review.Roles {
		if e := elsewhere.Roles[i]; e.Hash != rr.Hash || !slices.Equal(e.Moved, rr.Moved) || !slices.Equal(e.Other, rr.Other) {
			t.Errorf("%s: another machine sees %+v, this one %+v", rr.Role, e, rr)
		}
		out[rr.Role] = rr
	}
	return out
}

// TestReviewOfColdRoles: entries that move stand as a count, not as removed and added ones;
// who may sign which of them stands in words; whoever signs elsewhere sees the same.
func TestReviewOfColdRoles(t *testing.T) {
	t.Parallel()
	d := repotest.NewDaily(t, true)
	d.Releases(t, 5)
	staged := func(c *repo.Change, err error) (*repo.Published, map[string]diff.RoleReview) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		p := d.Published(t)
		seen := coldReview(t, d, p, c)
		d.Publish(t, d.Repo, p, c)
		return p, seen
	}
	archive := func(a edit.Archiving) (*repo.Published, map[string]diff.RoleReview) {
		t.Helper()
		c, _, err := edit.Archive(d.Repo, d.Published(t), nil, a, repo.StageOptions{})
		return staged(c, err)
	}
	const role = "archive-orbit-linux"
	_, seen := archive(repotest.Keep(2)) // 1.0.1 and 1.0.3 go; 1.0.2 is in a channel
	away := diff.TargetsMoved{From: "targets", To: role, Count: 2}
	if rr := seen[role]; !slices.Equal(rr.Moved, []diff.TargetsMoved{away}) || len(rr.Added) > 0 || rr.From != 0 {
		t.Errorf("%+v", rr)
	}
	rr := seen["targets"]
	if len(rr.Moved) != 4 || !slices.Contains(rr.Moved, away) || len(rr.Removed) > 0 || len(rr.Added) > 0 {
		t.Errorf("%+v", rr)
	}
	key := d.Published(t).Root.Keys("targets")[0].ID.String()
	says := func(rr diff.RoleReview, line string) {
		t.Helper()
		if !slices.Contains(rr.Other, line) {
			t.Errorf("%q is not in %q", line, rr.Other)
		}
	}
	says(rr, `role "archive-orbit-linux" may sign for "orbit/linux/*/orbit", by 1 of `+key)

	own := d.Make(t)
	_, seen = archive(edit.Archiving{Retention: meta.Retention{Keep: 2}, Keys: []meta.Key{own}})
	says(seen["targets"], `role "archive-orbit-linux" may sign for "orbit/linux/*/orbit", by 1 of `+own.ID.String())
	if rr := seen[role]; len(rr.Moved) > 0 || len(rr.Signatures) != 1 || !slices.Contains(rr.Signatures[0].Missing, own.ID) {
		t.Errorf("%+v", rr)
	}

	c, _, _, err := edit.Prune(d.Repo, d.Published(t), nil, edit.Pruning{Retention: meta.Retention{Keep: 2}}, repo.StageOptions{})
	_, seen = staged(c, err)
	if rr := seen[role]; len(rr.Removed) != 2 || len(rr.Moved) > 0 || rr.Removed[0].Path != "orbit/linux/1.0.1/orbit" {
		t.Errorf("%+v", rr)
	}
	_, seen = archive(repotest.Keep(1)) // 1.0.4
	if rr := seen[role]; !slices.Equal(rr.Moved, []diff.TargetsMoved{{From: "targets", To: role, Count: 1}}) {
		t.Errorf("%+v", rr)
	}
	_, seen = archive(edit.Archiving{Undo: true})
	back := diff.TargetsMoved{From: role, To: "targets", Count: 1}
	if rr := seen[role]; !slices.Equal(rr.Moved, []diff.TargetsMoved{back}) || len(rr.Removed) > 0 {
		t.Errorf("%+v", rr)
	}
	if rr := seen["targets"]; !slices.Contains(rr.Moved, back) || len(rr.Added) > 0 {
		t.Errorf("%+v", rr)
	}
	repotest.Judge(t, d.Repo)
}
