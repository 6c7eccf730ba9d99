package edit_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

// aged makes every file below the web root so much older.
func aged(t *testing.T, r *repo.Repo, by time.Duration) {
	t.Helper()
	for name := range repotest.CopyWeb(t, r) {
		path := repotest.WebPath(r, name)
		st, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		at := st.ModTime().Add(-by)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
}

func garbage(t *testing.T, r *repo.Repo, staged *repo.Change, grace time.Duration) []edit.Unreferenced {
	t.Helper()
	list, err := edit.FindUnreferenced(r, repotest.Load(t, r), staged, grace)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// TestGarbage: what metadata in force, staged or of a moment ago names stays; so does
// what has not the form that add gives. Each of two versions of stable is replaced an
// hour before the next.
func TestGarbage(t *testing.T) {
	repotest.ForLayouts(t, func(t *testing.T, consistent bool) {
		r, kr := repotest.New(t, consistent)
		repotest.Add(t, r, kr, "one", repotest.Item("1"))
		aged(t, r, time.Hour)
		remove1 := func() {
			p := repotest.Load(t, r)
			c, gone, err := edit.Remove(r, p, nil, edit.Removal{Paths: []string{"orbit/linux/1/orbit"}}, repo.StageOptions{})
			if err != nil || !slices.Equal(gone, []string{"orbit/linux/1/orbit"}) {
				t.Fatalf("removed %q, %v", gone, err)
			}
			kr.Publish(t, r, p, c)
		}
		remove1()
		for _, name := range []string{"targets/README", "targets/notes/mine.txt", "targets/a/b/c/d/e/f"} {
			if err := os.MkdirAll(filepath.Dir(repotest.WebPath(r, name)), 0o755); err != nil {
				t.Fatal(err)
			}
			repotest.Write(t, r, "repository/"+name, "somebody's")
		}
		if list := garbage(t, r, nil, time.Minute); len(list) > 0 {
			t.Errorf("taken out a moment ago, and garbage: %v", list)
		}
		aged(t, r, time.Hour)
		list := garbage(t, r, nil, time.Minute)
		if len(list) != 1 || !strings.HasPrefix(list[0].Path, "orbit/linux/1/") || list[0].Length != 3 {
			t.Fatalf("garbage %v; want the file of orbit 1", list)
		}
		if list := garbage(t, r, nil, 90*time.Minute); len(list) > 0 {
			t.Errorf("within the grace, and garbage: %v", list)
		}

		// A staged change that names it again keeps it.
		_, c, err := repotest.Put(t, r, "one", meta.Item{Name: "orbit", Platform: "linux", Version: "1"})
		if err != nil {
			t.Fatal(err)
		}
		if kept := garbage(t, r, c, time.Minute); len(kept) > 0 {
			t.Errorf("a staged change names it, and garbage: %v", kept)
		}

		if err := edit.RemoveUnreferenced(r, list); err != nil {
			t.Fatal(err)
		}
		if err := edit.RemoveUnreferenced(r, list); err != nil {
			t.Errorf("collected twice: %v", err)
		}
		if _, err := os.Stat(repotest.WebPath(r, "targets/orbit/linux/1")); !os.IsNotExist(err) {
			t.Errorf("the folder that is empty now is there: %v", err)
		}
		if _, err := os.Stat(repotest.WebPath(r, "targets/notes/mine.txt")); err != nil {
			t.Errorf("somebody's file is gone: %v", err)
		}
		repotest.Judge(t, r)
	})
}

// TestGarbageNeedsEveryNumberedFile: what a numbered targets.json names is not known to be
// unused while it cannot be read.
func TestGarbageNeedsEveryNumberedFile(t *testing.T) {
	r, kr := repotest.New(t, true)
	repotest.Add(t, r, kr, "one", repotest.Item("1"))
	repotest.Add(t, r, kr, "two", repotest.Item("2"))
	aged(t, r, time.Hour)
	for name, text := range map[string]string{"damaged": "{", "of another role": repotest.Read(t, r, "repository/1.root.json")} {
		c := repotest.Clone(t, r)
		repotest.Write(t, c, "repository/2.targets.json", text)
		if list, err := edit.FindUnreferenced(c, repotest.Load(t, r), nil, 2*time.Hour); err == nil {
			t.Errorf("%s: %v", name, list)
		}
	}
	// One that went out of force before the grace names nothing any more.
	c := repotest.Clone(t, r)
	repotest.Write(t, c, "repository/1.targets.json", "{")
	aged(t, c, time.Hour)
	if _, err := edit.FindUnreferenced(c, repotest.Load(t, c), nil, time.Minute); err != nil {
		t.Errorf("one that is long out of force: %v", err)
	}
}
