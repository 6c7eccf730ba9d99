package repo_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

// TestColdFileIsGone: a role whose file is gone, or is another, is named in a warning, and
// nobody reads, moves or signs anything of it; what is put back heals it.
func TestColdFileIsGone(t *testing.T) {
	repotest.ForLayouts(t, func(t *testing.T, consistent bool) {
		d := repotest.NewDaily(t, consistent)
		d.Releases(t, 4)
		d.Archive(t, repotest.Keep(1))
		const role = "archive-orbit-linux"
		whole := repotest.CopyWeb(t, d.Repo)
		for name, data := range map[string]string{
			"empty":        "",
			"no JSON":      "{",
			"another role": whole["archive-orbit-windows.json"],
		} {
			for file := range whole {
				if strings.HasSuffix(file, role+".json") {
					repotest.Write(t, d.Repo, "repository/"+file, data)
				}
			}
			p, err := d.Load()
			if err != nil {
				t.Fatal(err)
			}
			if len(p.Warnings) != 1 || !strings.Contains(p.Warnings[0], role+".json") {
				t.Errorf("%s: warnings %q", name, p.Warnings)
			}
			if _, err := p.ColdTargets(role); !errors.Is(err, meta.ErrMetadata) {
				t.Errorf("%s: %v", name, err)
			}
			if _, err := p.ArchivedRows(nil); !errors.Is(err, meta.ErrMetadata) {
				t.Errorf("%s: %v", name, err)
			}
			if s := p.ColdSummary(); s == nil || s.Roles != 4 || s.Targets != 3*2 || s.Role == role {
				t.Errorf("%s: %+v", name, s)
			}
			for what, try := range map[string]func() error{
				"archive": func() error {
					_, _, err := edit.Archive(d.Repo, p, nil, edit.Archiving{Undo: true}, repo.StageOptions{})
					return err
				},
				"prune": func() error {
					_, _, _, err := edit.Prune(d.Repo, p, nil, edit.Pruning{Retention: meta.Retention{Keep: 1}}, repo.StageOptions{})
					return err
				},
				"renew": func() error { _, err := edit.Renew(d.Repo, p, nil, meta.RoleTargets, repo.StageOptions{}); return err },
			} {
				if err := try(); !errors.Is(err, meta.ErrMetadata) {
					t.Errorf("%s, %s: %v", name, what, err)
				}
			}
			whole.Over(t, d.Repo)
			d.Published(t)
			repotest.Judge(t, d.Repo)
		}
	})
}
