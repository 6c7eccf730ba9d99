package repo_test

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

// TestFolderInTheWay: where a folder stands at a name that a commit writes, it is refused
// and nothing that clients read changes, or clients accept what it published beside it; and
// once the folder is gone the next release goes through.
func TestFolderInTheWay(t *testing.T) {
	repotest.ForLayouts(t, func(t *testing.T, consistent bool) {
		base, kr := repotest.New(t, consistent)
		item := func(version string) meta.Item {
			return meta.Item{Name: "orbit", Platform: "linux", Version: version, Channels: []string{"stable"}}
		}
		repotest.Add(t, base, kr, "one", item("1"))
		publish := func(r *repo.Repo) error {
			p, c, err := repotest.Put(t, r, "two", item("2"))
			if err != nil {
				return err
			}
			return kr.Try(r, p, c)
		}
		whole := repotest.Clone(t, base)
		if err := publish(whole); err != nil {
			t.Fatal(err)
		}
		before := repotest.CopyWeb(t, base)
		names := []string{"pending/change.json", "pending/journal"}
		for name := range repotest.CopyWeb(t, whole) {
			if _, was := before[name]; !was {
				names = append(names, "repository/"+name)
			}
		}
		if len(names) < 3 {
			t.Fatalf("a commit writes %q only", names)
		}
		for _, name := range names {
			r := repotest.Clone(t, base)
			at := filepath.Join(r.Dir(), filepath.FromSlash(name))
			if err := os.RemoveAll(at); err != nil {
				t.Fatal(err)
			}
			if err := os.MkdirAll(filepath.Join(at, "in the way"), 0o755); err != nil {
				t.Fatal(err)
			}
			err := publish(r)
			var interrupted *repo.InterruptedError
			if err != nil && !errors.As(err, &interrupted) && !maps.Equal(repotest.CopyWeb(t, r), before) {
				t.Errorf("%q: refused (%v), and clients see %q", name, err, slices.Sorted(maps.Keys(repotest.CopyWeb(t, r))))
			}
			stops := !strings.HasSuffix(name, ".json") // another number is taken, or nothing was staged
			if (err != nil) != stops && interrupted == nil {
				t.Errorf("%q: %v", name, err)
			}
			if err := os.RemoveAll(at); err != nil {
				t.Fatal(err)
			}
			repotest.Judge(t, r)
			again := repotest.Clone(t, r)
			if err := publish(again); err != nil {
				t.Errorf("%q, afterwards: %v", name, err)
			}
			repotest.Judge(t, again)
		}
	})
}
