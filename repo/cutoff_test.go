package repo_test

import (
	"testing"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

// TestCutOffBeforeAnOldCopy: a commit was killed when all was published and nothing noted,
// and the next thing that happens is that an older copy of repository/ is put back. What
// agents may have seen is not signed again.
func TestCutOffBeforeAnOldCopy(t *testing.T) {
	t.Parallel()
	repotest.ForLayouts(t, func(t *testing.T, consistent bool) {
		r, kr := repotest.New(t, consistent)
		repotest.Add(t, r, kr, "one", repotest.Item("1"))
		old := repotest.CopyWeb(t, r)

		stamped := repotest.Clone(t, r)
		rel, err := stamped.Timestamp(repo.ReleaseOptions{})
		if err != nil {
			t.Fatal(err)
		}
		signAll(t, kr, rel)
		if err := stamped.CutOff(rel); err != nil {
			t.Fatal(err)
		}
		seen := repotest.Load(t, stamped).Timestamp.Version()
		old.Over(t, stamped)
		after := repotest.Clone(t, stamped)
		repotest.Stamp(t, after, kr)
		if v := repotest.Load(t, after).Timestamp.Version(); v <= seen {
			t.Errorf("timestamp v%d is signed, and agents may have seen v%d", v, seen)
		}

		changed := repotest.Clone(t, r)
		p, c, err := repotest.Put(t, changed, "two", repotest.Item("2"))
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range c.Docs() {
			kr.Sign(t, d)
		}
		if rel, err = changed.Release(p, c, repo.ReleaseOptions{}); err != nil {
			t.Fatal(err)
		}
		signAll(t, kr, rel)
		if err := changed.CutOff(rel); err != nil {
			t.Fatal(err)
		}
		old.Over(t, changed)
		after = repotest.Clone(t, changed) // its lock finishes the commit
		for name, try := range writers(t, after, kr) {
			if err := try(); !repotest.KindIs(meta.WentBack)(err) && !repotest.KindIs(meta.LostVersions)(err) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func signAll(t *testing.T, kr repotest.Keyring, rel *repo.Release) {
	t.Helper()
	for {
		d, err := rel.Next()
		if err != nil {
			t.Fatal(err)
		}
		if d == nil {
			return
		}
		kr.Sign(t, d)
	}
}
