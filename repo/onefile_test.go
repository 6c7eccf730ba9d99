package repo_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// Two published paths that are one file: refused before anything is written, in both
// layouts, whatever makes them one.
func TestTwoPathsOneFile(t *testing.T) {
	web := func(r *repo.Repo, elem ...string) string {
		return filepath.Join(append([]string{r.Dir(), "repository", "targets", "orbit", "linux"}, elem...)...)
	}
	cases := map[string]struct {
		spoil      func(t *testing.T, r *repo.Repo)
		it         repo.Item
		consistent bool // refused there too
	}{
		"a folder that is a link to another": {func(t *testing.T, r *repo.Repo) {
			if err := os.Symlink("stable", web(r, "edge")); err != nil {
				t.Fatal(err)
			}
		}, repo.Item{Name: "orbit", Platform: "linux", Version: "2", Channels: []string{"edge"}}, true},
		"both written at once through a link": {func(t *testing.T, r *repo.Repo) {
			if err := os.Symlink("stable", web(r, "edge")); err != nil {
				t.Fatal(err)
			}
		}, repo.Item{Name: "orbit", Platform: "linux", Version: "2", Channels: []string{"edge", "stable"}}, true},
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
		}, repo.Item{Name: "orbit", Platform: "linux", Version: "2", Channels: []string{"stable"}}, false},
	}
	forLayouts(t, func(t *testing.T, consistent bool) {
		base, kr := newRepo(t, consistent)
		add(t, base, kr, "one", item("1"))
		for name, c := range cases {
			r := clone(t, base)
			c.spoil(t, r)
			before := copyWeb(t, r)
			p, change, err := put(t, r, "two", c.it)
			if err == nil {
				err = kr.try(r, p, change)
			}
			if refused := errors.Is(err, meta.ErrRefused); refused != (!consistent || c.consistent) {
				t.Errorf("%s: %v", name, err)
			}
			if err == nil {
				judge(t, r)
				continue
			}
			for file, data := range copyWeb(t, r) {
				if before[file] != data {
					t.Errorf("%s: %q was written", name, file)
				}
			}
		}
	})
}
