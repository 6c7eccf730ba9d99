package repo_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

// Two published paths that are one file: refused before anything is written, in both
// layouts, whatever makes them one.
func TestTwoPathsOneFile(t *testing.T) {
	web := func(r *repo.Repo, elem ...string) string {
		return filepath.Join(append([]string{r.Dir(), "repository", "targets", "orbit", "linux"}, elem...)...)
	}
	cases := map[string]struct {
		spoil      func(t *testing.T, r *repo.Repo)
		it         meta.Item
		consistent bool // refused there too
	}{
		"a folder that is a link to another": {func(t *testing.T, r *repo.Repo) {
			if err := os.Symlink("stable", web(r, "edge")); err != nil {
				t.Fatal(err)
			}
		}, meta.Item{Name: "orbit", Platform: "linux", Version: "2", Channels: []string{"edge"}}, true},
		"both written at once through a link": {func(t *testing.T, r *repo.Repo) {
			if err := os.Symlink("stable", web(r, "edge")); err != nil {
				t.Fatal(err)
			}
		}, meta.Item{Name: "orbit", Platform: "linux", Version: "2", Channels: []string{"edge", "stable"}}, true},
		"a hard link": {func(t *testing.T, r *repo.Repo) {
			if err := os.Remove(web(r, "1", "orbit")); err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
			if err := os.MkdirAll(web(r, "1"), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Link(web(r, "stable", "orbit"), web(r, "1", "orbit")); err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
		}, meta.Item{Name: "orbit", Platform: "linux", Version: "2", Channels: []string{"stable"}}, false},
	}
	repotest.ForLayouts(t, func(t *testing.T, consistent bool) {
		base, kr := repotest.New(t, consistent)
		repotest.Add(t, base, kr, "one", repotest.Item("1"))
		for name, c := range cases {
			r := repotest.Clone(t, base)
			c.spoil(t, r)
			before := repotest.CopyWeb(t, r)
			p, change, err := repotest.Put(t, r, "two", c.it)
			if err == nil {
				err = kr.Try(r, p, change)
			}
			if refused := errors.Is(err, meta.ErrRefused); refused != (!consistent || c.consistent) {
				t.Errorf("%s: %v", name, err)
			}
			if err == nil {
				repotest.Judge(t, r)
				continue
			}
			for file, data := range repotest.CopyWeb(t, r) {
				if before[file] != data {
					t.Errorf("%s: %q was written", name, file)
				}
			}
		}
	})
}
