package store

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/internal/webroot"
	"github.com/fleet-hsm/fleet-hsm/store/repotest"
)

// TestLinksLeadNowhere plants a symbolic link at every kind of place below a store's
// folder and below repository/, and looks at where it leads.
func TestLinksLeadNowhere(t *testing.T) {
	t.Parallel()
	for _, name := range []string{lockName, "timestamp.json", "targets", "targets/a", "root.json", "1.root.json", "snapshot.json"} {
		t.Run("store "+name, func(t *testing.T) {
			t.Parallel()
			dir, victim := t.TempDir(), t.TempDir()
			r := repotest.New(t, false)
			r.Targets["a/b"] = []byte("b")
			r.Commit()
			s := openTest(t, "file://"+dir, OpenOptions{})
			publish(t, s, options(r))
			plant(t, filepath.Join(dir, name), victim)
			r.Targets["a/b"] = []byte("other")
			r.Commit()
			plan, err := MakePlan(t.Context(), s, options(r))
			if err == nil {
				_, err = plan.Publish(t.Context())
			}
			var link *webroot.LinkError
			if !errors.As(err, &link) {
				t.Errorf("published: %v", err)
			}
			untouched(t, victim)
		})
	}
	for _, name := range []string{"timestamp.json", "targets.json", "root.json", "1.root.json", "targets", "targets/a", "targets/a/b"} {
		t.Run("repository "+name, func(t *testing.T) {
			t.Parallel()
			r := repotest.New(t, false)
			r.Targets["a/b"] = []byte("b")
			r.Commit()
			s := openTest(t, folderURL(t), OpenOptions{})
			publish(t, s, options(r))
			victim := t.TempDir()
			plant(t, filepath.Join(r.Dir, name), victim)
			var link *webroot.LinkError
			if _, err := MakePlan(t.Context(), openTest(t, folderURL(t), OpenOptions{}), options(r)); !errors.As(err, &link) {
				t.Errorf("planned: %v", err)
			}
			if _, err := Pull(t.Context(), s, PullOptions{Dir: r.Dir, Targets: true}); !errors.As(err, &link) {
				t.Errorf("pulled: %v", err)
			}
			untouched(t, victim)
		})
	}
}

// plant puts a link in the place of what is there: to the same content moved to victim.
func plant(t *testing.T, path, victim string) {
	t.Helper()
	to := filepath.Join(victim, "it")
	if err := os.Rename(path, to); err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	if err := os.Symlink(to, path); err != nil {
		t.Fatal(err)
	}
	tree, err := os.MkdirTemp(filepath.Dir(victim), "was")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(tree, "v"), os.DirFS(victim)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(victim, ".was"), []byte(tree), 0o600); err != nil {
		t.Fatal(err)
	}
}

// untouched compares a folder with what plant found there.
func untouched(t *testing.T, victim string) {
	t.Helper()
	was, err := os.ReadFile(filepath.Join(victim, ".was"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(victim, ".was")); err != nil {
		t.Fatal(err)
	}
	a := snapshotOf(t, openTest(t, "file://"+filepath.Join(string(was), "v"), OpenOptions{}))
	if b := snapshotOf(t, openTest(t, "file://"+victim, OpenOptions{})); a != b {
		t.Errorf("something was written where the link leads:\n%s\n%s", a, b)
	}
}
