package repo_test

import (
	"testing"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// TestCutOffBeforeAnOldCopy: a commit was killed when all was published and nothing noted,
// and the next thing that happens is that an older copy of repository/ is put back. What
// agents may have seen is not signed again.
func TestCutOffBeforeAnOldCopy(t *testing.T) {
	t.Parallel()
	forLayouts(t, func(t *testing.T, consistent bool) {
		r, kr := newRepo(t, consistent)
		add(t, r, kr, "one", item("1"))
		old := copyWeb(t, r)

		stamped := clone(t, r)
		rel, err := stamped.Timestamp(repo.ReleaseOptions{})
		if err != nil {
			t.Fatal(err)
		}
		signAll(t, kr, rel)
		if err := stamped.CutOff(rel); err != nil {
			t.Fatal(err)
		}
		seen := load(t, stamped).Timestamp.Version()
		old.over(t, stamped)
		after := clone(t, stamped)
		stamp(t, after, kr)
		if v := load(t, after).Timestamp.Version(); v <= seen {
			t.Errorf("timestamp v%d is signed, and agents may have seen v%d", v, seen)
		}

		changed := clone(t, r)
		p, c, err := put(t, changed, "two", item("2"))
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range c.Docs() {
			kr.sign(t, d)
		}
		if rel, err = changed.Release(p, c, repo.ReleaseOptions{}); err != nil {
			t.Fatal(err)
		}
		signAll(t, kr, rel)
		if err := changed.CutOff(rel); err != nil {
			t.Fatal(err)
		}
		old.over(t, changed)
		after = clone(t, changed) // its lock finishes the commit
		for name, try := range writers(t, after, kr) {
			if err := try(); !kindIs(meta.WentBack)(err) && !kindIs(meta.LostVersions)(err) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func signAll(t *testing.T, kr keyring, rel *repo.Release) {
	t.Helper()
	for {
		d, err := rel.Next()
		if err != nil {
			t.Fatal(err)
		}
		if d == nil {
			return
		}
		kr.sign(t, d)
	}
}
