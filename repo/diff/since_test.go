package diff_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/diff"
	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

// TestSinceWhenAKeyServes: without a break, as far as the roots are here; a root that is
// gone leaves what is older without a number.
func TestSinceWhenAKeyServes(t *testing.T) {
	repotest.ForLayouts(t, func(t *testing.T, consistent bool) {
		r, kr := repotest.New(t, consistent)
		root := repotest.Load(t, r).Root.Keys(meta.RoleRoot)[0]
		repotest.Rotate(t, r, kr, meta.RoleTargets) // root v2
		back := repotest.Load(t, r).Root.Keys(meta.RoleTargets)[0]
		repotest.Rotate(t, r, kr, meta.RoleTargets) // v3: away
		p := repotest.Load(t, r)
		c, err := edit.Rotate(r, p, nil, edit.Rotation{Role: meta.RoleTargets, Set: []meta.Key{back}}, repo.StageOptions{})
		if err != nil {
			t.Fatal(err)
		}
		kr.Publish(t, r, p, c) // v4: and back
		p = repotest.Load(t, r)
		if c, err = edit.Rotate(r, p, nil, edit.Rotation{Role: meta.RoleTargets, Set: []meta.Key{kr.Make(t)}}, repo.StageOptions{}); err != nil {
			t.Fatal(err)
		}
		since := func() map[tuf.KeyID]int64 {
			review, err := diff.Of(r, p, c, meta.Expiries{})
			if err != nil {
				t.Fatal(err)
			}
			out := map[tuf.KeyID]int64{}
			for _, k := range review.Roles[0].Stays {
				out[k.KeyID] = k.Since
			}
			for _, k := range review.Roles[0].Keys {
				out[k.KeyID] = k.Since
				if k.Gains && k.Since != 0 {
					t.Errorf("a new key serves since root v%d", k.Since)
				}
			}
			return out
		}
		if got := since(); got[root.ID] != 1 || got[back.ID] != 4 {
			t.Errorf("root's key since v%d, targets' since v%d; want 1 and 4", got[root.ID], got[back.ID])
		}
		for _, name := range []string{"1.root.json", "2.root.json"} {
			if err := os.Remove(filepath.Join(r.Dir(), "repository", name)); err != nil {
				t.Fatal(err)
			}
		}
		if got := since(); got[root.ID] != 0 || got[back.ID] != 4 {
			t.Errorf("with roots gone: root's key since v%d, targets' since v%d; want 0 and 4", got[root.ID], got[back.ID])
		}
	})
}
