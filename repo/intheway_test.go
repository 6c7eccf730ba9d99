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
)

// TestFolderInTheWay: where a folder stands at a name that a commit writes, it is refused
// and nothing that clients read changes, or clients accept what it published beside it; and
// once the folder is gone the next release goes through.
func TestFolderInTheWay(t *testing.T) {
	forLayouts(t, func(t *testing.T, consistent bool) {
		base, kr := newRepo(t, consistent)
		item := func(version string) repo.Item {
			return repo.Item{Name: "orbit", Platform: "linux", Version: version, Channels: []string{"stable"}}
		}
		add(t, base, kr, "one", item("1"))
		publish := func(r *repo.Repo) error {
			p, c, err := put(t, r, "two", item("2"))
			if err != nil {
				return err
			}
			return kr.try(r, p, c)
		}
		whole := clone(t, base)
		if err := publish(whole); err != nil {
			t.Fatal(err)
		}
		before := copyWeb(t, base)
		names := []string{"pending/change.json", "pending/journal"}
		for name := range copyWeb(t, whole) {
			if _, was := before[name]; !was {
				names = append(names, "repository/"+name)
			}
		}
		if len(names) < 3 {
			t.Fatalf("a commit writes %q only", names)
		}
		for _, name := range names {
			r := clone(t, base)
			at := filepath.Join(r.Dir(), filepath.FromSlash(name))
			if err := os.RemoveAll(at); err != nil {
				t.Fatal(err)
			}
			if err := os.MkdirAll(filepath.Join(at, "in the way"), 0o755); err != nil {
				t.Fatal(err)
			}
			err := publish(r)
			var interrupted *repo.InterruptedError
			if err != nil && !errors.As(err, &interrupted) && !maps.Equal(copyWeb(t, r), before) {
				t.Errorf("%q: refused (%v), and clients see %q", name, err, slices.Sorted(maps.Keys(copyWeb(t, r))))
			}
			stops := !strings.HasSuffix(name, ".json") // another number is taken, or nothing was staged
			if (err != nil) != stops && interrupted == nil {
				t.Errorf("%q: %v", name, err)
			}
			if err := os.RemoveAll(at); err != nil {
				t.Fatal(err)
			}
			judge(t, r)
			again := clone(t, r)
			if err := publish(again); err != nil {
				t.Errorf("%q, afterwards: %v", name, err)
			}
			judge(t, again)
		}
	})
}
