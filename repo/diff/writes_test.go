package diff_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/diff"
	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

// TestDryRunListsWhatACommitWrites: no file more and none less, and the roles that a commit
// signs besides.
func TestDryRunListsWhatACommitWrites(t *testing.T) {
	changes := map[string]func(t *testing.T, d *repotest.Daily, p *repo.Published) (*repo.Change, error){
		"add": func(t *testing.T, d *repotest.Daily, p *repo.Published) (*repo.Change, error) {
			return edit.Add(d.Repo, p, nil, []edit.StagedItem{d.Item(t, "orbit", "linux", "2.0.0", "edge")}, repo.StageOptions{})
		},
		"promote": func(_ *testing.T, d *repotest.Daily, p *repo.Published) (*repo.Change, error) {
			c, _, err := edit.Promote(d.Repo, p, nil, edit.Promotion{Version: "1.0.2", From: "old", To: []string{"stable"}}, repo.StageOptions{})
			return c, err
		},
		"remove": func(_ *testing.T, d *repotest.Daily, p *repo.Published) (*repo.Change, error) {
			c, _, err := edit.Remove(d.Repo, p, nil, edit.Removal{Channel: "edge"}, repo.StageOptions{})
			return c, err
		},
		"rotate targets": func(t *testing.T, d *repotest.Daily, p *repo.Published) (*repo.Change, error) {
			return edit.Rotate(d.Repo, p, nil, edit.Rotation{Role: meta.RoleTargets, Set: []meta.Key{d.Make(t)}}, repo.StageOptions{})
		},
		"rotate timestamp": func(t *testing.T, d *repotest.Daily, p *repo.Published) (*repo.Change, error) {
			return edit.Rotate(d.Repo, p, nil, edit.Rotation{Role: meta.RoleTimestamp, Set: []meta.Key{d.Make(t)}}, repo.StageOptions{})
		},
		"renew root": func(_ *testing.T, d *repotest.Daily, p *repo.Published) (*repo.Change, error) {
			return edit.Renew(d.Repo, p, nil, meta.RoleRoot, repo.StageOptions{})
		},
		"archive": func(_ *testing.T, d *repotest.Daily, p *repo.Published) (*repo.Change, error) {
			c, _, err := edit.Archive(d.Repo, p, nil, repotest.Keep(1), repo.StageOptions{})
			return c, err
		},
	}
	repotest.ForLayouts(t, func(t *testing.T, consistent bool) {
		base := repotest.NewDaily(t, consistent)
		base.Releases(t, 3)
		for name, change := range changes {
			d := *base
			d.Repo = repotest.Clone(t, base.Repo)
			p := d.Published(t)
			c, err := change(t, &d, p)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			list, also, err := diff.Writes(d.Repo, p, c, repo.ReleaseOptions{})
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			said := map[string]bool{}
			for _, w := range list {
				said[strings.TrimPrefix(w.Path, "repository/")] = true
			}
			if slices.Contains(also, meta.RoleTimestamp) != (list[len(list)-1].Path == "repository/timestamp.json") {
				t.Errorf("%s: %v besides, %+v last", name, also, list[len(list)-1])
			}
			before := repotest.CopyWeb(t, d.Repo)
			d.Publish(t, d.Repo, p, c)
			wrote := map[string]bool{}
			for file, data := range repotest.CopyWeb(t, d.Repo) {
				if before[file] != data {
					wrote[file] = true
				}
			}
			if !maps.Equal(said, wrote) {
				t.Errorf("%s: said %q, wrote %q", name, slices.Sorted(maps.Keys(said)), slices.Sorted(maps.Keys(wrote)))
			}
		}
	})
}
