package repo_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

// TestHolds: what is published in every respect is held, and nothing that a new entry, the
// bytes or a new signature would change.
func TestHolds(t *testing.T) {
	t.Parallel()
	repotest.ForLayouts(t, func(t *testing.T, consistent bool) {
		first, kr := repotest.New(t, consistent)
		repotest.Add(t, first, kr, "one", repotest.Item("1"))
		bare := meta.Item{Name: "orbit", Platform: "linux", Version: "1"}
		further := bare
		further.Channels = []string{"edge"}
		content := func(text string) func(r *repo.Repo) {
			return func(r *repo.Repo) {
				for name := range repotest.CopyWeb(t, r) {
					if strings.HasPrefix(name, "targets/") {
						repotest.Write(t, r, "repository/"+name, text)
					}
				}
			}
		}
		for name, c := range map[string]struct {
			content string
			it      meta.Item
			spoil   func(r *repo.Repo)
			late    time.Duration
			held    bool
		}{
			"the same":                {content: "one", it: repotest.Item("1"), held: true},
			"fewer channels":          {content: "one", it: bare, held: true},
			"a further channel":       {content: "one", it: further},
			"other bytes":             {content: "two", it: repotest.Item("1")},
			"another version":         {content: "one", it: repotest.Item("2")},
			"published bytes cut off": {content: "one", it: repotest.Item("1"), spoil: content("")},
			"published bytes changed": {content: "one", it: repotest.Item("1"), spoil: content("onf")},
			"a timestamp is due": {content: "one", it: repotest.Item("1"), spoil: func(r *repo.Repo) {
				old := repotest.CopyWeb(t, r)
				if err := repotest.Renew(r, kr, meta.RoleTargets); err != nil {
					t.Fatal(err)
				}
				old.Over(t, r, "timestamp.json")
			}},
			"expired": {content: "one", it: repotest.Item("1"), late: 15 * 24 * time.Hour},
		} {
			t.Run(name, func(t *testing.T) {
				r := repotest.Clone(t, first)
				if c.spoil != nil {
					c.spoil(r)
				}
				late := repo.Open(r.Dir(), repo.Options{Now: func() time.Time { return time.Now().Add(c.late) }})
				file := filepath.Join(t.TempDir(), "f")
				if err := os.WriteFile(file, []byte(c.content), 0o600); err != nil {
					t.Fatal(err)
				}
				staged, err := late.Stage(t.Context(), file, nil)
				if err != nil {
					t.Fatal(err)
				}
				p, err := late.Load()
				if err != nil {
					t.Fatal(err)
				}
				c.it.File = file
				if held := edit.Holds(late, p, []edit.StagedItem{{Item: c.it, Content: staged}}); held != c.held {
					t.Errorf("held is %v", held)
				}
			})
		}
	})
}

// TestWhatAChangeWeighs: sizes of what is published and of what would be.
func TestWhatAChangeWeighs(t *testing.T) {
	t.Parallel()
	d := repotest.NewDaily(t, true)
	d.Releases(t, 3)
	p := d.Published(t)
	now, err := p.Weight()
	if err != nil || p.TargetsSize() != int64(len(repotest.Read(t, d.Repo, "repository/targets.json"))) {
		t.Fatalf("%d bytes, %v", p.TargetsSize(), err)
	}
	c, _, err := edit.Archive(d.Repo, p, nil, repotest.Keep(1), repo.StageOptions{})
	if err != nil {
		t.Fatal(err)
	}
	then, err := c.Weight()
	if err != nil || reflect.DeepEqual(then, now) {
		t.Errorf("%+v before and after, %v", then, err)
	}
	if online, err := d.LoadOnline(); err != nil || online.Targets != nil || online.Root.Version() != 1 {
		t.Errorf("%+v, %v", online, err)
	}
	roots, err := d.Roots(p)
	if err != nil || len(roots) != 1 || roots[0].Version() != 1 {
		t.Errorf("%v, %v", roots, err)
	}
	if root, err := d.NumberedRoot(1); err != nil || root.Version() != 1 {
		t.Errorf("%v", err)
	}
}
