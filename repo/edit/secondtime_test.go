package edit_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

// TestSecondTime: to take away what was taken away before is no mistake, and nothing to
// do; what never was there is not found, and the nearest name is given. In the flat layout,
// where old metadata is overwritten, the bytes tell until they are deleted.
func TestSecondTime(t *testing.T) {
	repotest.ForLayouts(t, func(t *testing.T, consistent bool) {
		d := repotest.NewDaily(t, consistent)
		d.Releases(t, 3)
		const path = "orbit/linux/stable/orbit"
		remove := func(rm edit.Removal) (*repo.Change, error) {
			c, _, err := edit.Remove(d.Repo, d.Published(t), nil, rm, repo.StageOptions{})
			return c, err
		}
		for _, rm := range []edit.Removal{{Paths: []string{path}}, {Channel: "edge"}} {
			c, err := remove(rm)
			if err != nil {
				t.Fatal(err)
			}
			d.Publish(t, d.Repo, d.Published(t), c)
			_, err = remove(rm)
			repotest.RefusedAs(t, err, meta.NoChange)
		}
		for near, rm := range map[string]edit.Removal{
			"stable":                  {Channel: "stabel"},
			"orbit/linux/1.0.3/orbit": {Paths: []string{"orbit/linx/1.0.3/orbit"}},
			"orbit/linux/old/orbit":   {Paths: []string{"orbit/linux/odl/orbit"}},
		} {
			_, err := remove(rm)
			repotest.RefusedAs(t, err, meta.NotFound)
			var r *meta.RefusedError
			if !errors.As(err, &r) || r.Near != near {
				t.Errorf("%+v: %v; %q should be near (%+v)", rm, err, near, r)
			}
		}
		if consistent {
			return
		}
		for _, pattern := range []string{path, "*/*/edge/*"} {
			files, err := filepath.Glob(filepath.Join(d.Dir(), "repository", "targets", filepath.FromSlash(pattern)))
			if err != nil || len(files) == 0 {
				t.Fatalf("%s: %v, %v", pattern, files, err)
			}
			for _, file := range files {
				if err := os.Remove(file); err != nil {
					t.Fatal(err)
				}
			}
		}
		_, err := remove(edit.Removal{Paths: []string{path}})
		repotest.RefusedAs(t, err, meta.NotFound)
		_, err = remove(edit.Removal{Channel: "edge"})
		repotest.RefusedAs(t, err, meta.NotFound)
	})
}
