package repo_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

func TestLifeOfARepository(t *testing.T) {
	for _, consistent := range []bool{false, true} {
		t.Run(map[bool]string{true: "consistent", false: "flat"}[consistent], func(t *testing.T) {
			r, kr := repotest.New(t, consistent)
			repotest.Add(t, r, kr, "one", meta.Item{Name: "orbit", Platform: "linux", Version: "1.0.0", Channels: []string{"stable", "edge"}})
			repotest.Add(t, r, kr, "two", meta.Item{Name: "orbit", Platform: "linux", Version: "1.1.0", Channels: []string{"edge"}})
			rel, err := r.Timestamp(repo.ReleaseOptions{})
			if err != nil {
				t.Fatal(err)
			}
			kr.SignAndCommit(t, r, rel)
			for _, role := range meta.Roles() {
				p := repotest.Load(t, r)
				c, err := edit.Rotate(r, p, nil, edit.Rotation{Role: role, Set: []meta.Key{kr.Make(t)}}, repo.StageOptions{})
				if err != nil {
					t.Fatal(err)
				}
				kr.Publish(t, r, p, c)
			}
			p := repotest.Load(t, r)
			if p.Root.Version() != 5 || p.Targets.Version() != 4 || p.Targets.Len() != 4 {
				t.Errorf("root v%d, targets v%d with %d paths; want 5, 4, 4", p.Root.Version(), p.Targets.Version(), p.Targets.Len())
			}
			entries, err := os.ReadDir(filepath.Join(r.Dir(), "pending"))
			if err != nil || len(entries) != 2 {
				t.Errorf("pending/ holds %v; want the lock and the history alone", entries)
			}
		})
	}
}
