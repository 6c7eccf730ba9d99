package repo_test

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

// TestDestinationsAreCheckedFirst: a journal whose renames the file system refuses would
// block every later command, so the commit is refused before it, and nothing is written.
func TestDestinationsAreCheckedFirst(t *testing.T) {
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, spoil := range map[string]func(r *repo.Repo){
		"a folder where a target goes": func(r *repo.Repo) { must(os.MkdirAll(repotest.WebPath(r, "targets/orbit/linux/2/orbit"), 0o755)) },
		"a file where a folder goes": func(r *repo.Repo) {
			must(os.WriteFile(repotest.WebPath(r, "targets/orbit/linux/2"), []byte("x"), 0o644))
		},
		"a link that leads nowhere":             func(r *repo.Repo) { must(os.Symlink("nowhere", repotest.WebPath(r, "targets/orbit/linux/2"))) },
		"a link that leads out of the web root": func(r *repo.Repo) { must(os.Symlink(r.Dir(), repotest.WebPath(r, "targets/orbit/linux/2"))) },
		"a folder where metadata goes":          func(r *repo.Repo) { must(os.Mkdir(repotest.WebPath(r, "2.root.json"), 0o755)) },
	} {
		r, kr := repotest.New(t, false)
		repotest.Add(t, r, kr, "one", repotest.Item("1"))
		p, c, err := repotest.Put(t, r, "two", repotest.Item("2"))
		must(err)
		c, err = edit.Rotate(r, p, c, edit.Rotation{Role: meta.RoleSnapshot, Add: []meta.Key{kr.Make(t)}}, repo.StageOptions{})
		must(err)
		for _, d := range c.Docs() {
			kr.Sign(t, d)
		}
		rel, err := r.Release(p, c, repo.ReleaseOptions{})
		must(err)
		spoil(r)
		before := repotest.CopyWeb(t, r)
		if err := kr.TryCommit(r, rel); !errors.Is(err, meta.ErrRefused) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Lstat(filepath.Join(r.Dir(), "pending", "journal")); err == nil {
			t.Errorf("%s: a journal was written", name)
		}
		if !maps.Equal(before, repotest.CopyWeb(t, r)) {
			t.Errorf("%s: the web root changed", name)
		}
	}
}

// TestTimestampPlaceIsCheckedToo: the one rename that needs no journal.
func TestTimestampPlaceIsCheckedToo(t *testing.T) {
	r, kr := repotest.New(t, true)
	rel, err := r.Timestamp(repo.ReleaseOptions{})
	if err != nil {
		t.Fatal(err)
	}
	repotest.Remove(t, r, "repository/timestamp.json")
	if err := os.Mkdir(repotest.WebPath(r, "timestamp.json"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := kr.TryCommit(r, rel); !repotest.KindIs(meta.PathTaken)(err) {
		t.Errorf("a folder in its place: %v", err)
	}
}

// TestWhatSharesAnInode: hash-named files of one content are one file; in the flat layout
// no two published paths are, because fleetctl writes in place (DESIGN 4). The user's own
// file is neither.
func TestWhatSharesAnInode(t *testing.T) {
	repotest.ForLayouts(t, func(t *testing.T, consistent bool) {
		r, kr := repotest.New(t, consistent)
		file := filepath.Join(repotest.Folder(t), "orbit")
		if err := os.WriteFile(file, []byte("one"), 0o600); err != nil {
			t.Fatal(err)
		}
		content, err := r.Stage(t.Context(), file, nil)
		if err != nil {
			t.Fatal(err)
		}
		p := repotest.Load(t, r)
		it := meta.Item{Name: "orbit", Platform: "linux", Version: "1", Channels: []string{"edge", "stable"}, File: file}
		c, err := edit.Add(r, p, nil, []edit.StagedItem{{Item: it, Content: content}}, repo.StageOptions{})
		if err != nil {
			t.Fatal(err)
		}
		kr.Publish(t, r, p, c)
		p = repotest.Load(t, r)
		if c, _, err = edit.Promote(r, p, nil, edit.Promotion{Version: "1", From: "edge", To: []string{"beta"}}, repo.StageOptions{}); err != nil {
			t.Fatal(err)
		}
		kr.Publish(t, r, p, c)
		infos := []os.FileInfo{stat(t, file)}
		for name := range repotest.CopyWeb(t, r) {
			if filepath.Dir(filepath.Dir(filepath.Dir(name))) == "targets/orbit" {
				infos = append(infos, stat(t, repotest.WebPath(r, name)))
			}
		}
		if len(infos) != 5 {
			t.Fatalf("%d published files; want 4", len(infos)-1)
		}
		for i, a := range infos {
			for j, b := range infos[:i] {
				if same := os.SameFile(a, b); same != (consistent && j > 0) {
					t.Errorf("files %d and %d are one: %v", i, j, same)
				}
			}
			if i > 0 && a.Mode().Perm() != 0o644 {
				t.Errorf("a published file has mode %s", a.Mode())
			}
		}
	})
}

func stat(t *testing.T, path string) os.FileInfo {
	t.Helper()
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// TestLock: one writer at a time; who waits is told who holds it, and for how long.
func TestLock(t *testing.T) {
	r, _ := repotest.New(t, true) // holds the lock
	start := time.Now()
	_, err := repo.Open(r.Dir(), repo.Options{}).Lock(t.Context(), "second", 30*time.Millisecond)
	var locked *repo.LockedError
	if !errors.As(err, &locked) || !errors.Is(err, repo.ErrLocked) {
		t.Fatalf("a second holder: %v", err)
	}
	if locked.Waited != 30*time.Millisecond || time.Since(start) < locked.Waited || locked.Holder == "" || locked.Path != filepath.Join(r.Dir(), "pending", "lock") {
		t.Errorf("told %+v after %s", locked, time.Since(start))
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := repo.Open(r.Dir(), repo.Options{}).Lock(gone, "third", time.Minute); !errors.Is(err, context.Canceled) {
		t.Errorf("waiting under a context that ended: %v", err)
	}

	free := repotest.Folder(t)
	l, err := repo.Open(free, repo.Options{}).Lock(t.Context(), "first", 0)
	if err != nil {
		t.Fatal(err)
	}
	l.Unlock()
	l.Unlock() // once more does nothing
	var none *repo.Lock
	none.Unlock()
	if l, err = repo.Open(free, repo.Options{}).Lock(t.Context(), "next", 0); err != nil || l.Recovered != nil {
		t.Fatalf("after it was let go: %v", err)
	}
	l.Unlock()
}

// TestLockClearsWhatWasLeft: content of no staged change, half a commit, temporary files
// older than a minute; never somebody's own files or the staged change's content.
func TestLockClearsWhatWasLeft(t *testing.T) {
	const temp = ".fleet-hsm-tmp-root.json-1"
	for _, staged := range []bool{false, true} {
		dir := repotest.Folder(t)
		for _, name := range []string{"pending/commit/0", "pending/content/x", "pending/" + temp, "pending/mine", "keys/" + temp, "keys/young" + temp, "keys/root.json", temp} {
			if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if staged {
			if err := os.WriteFile(filepath.Join(dir, "pending/change.json"), []byte("{}"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, "keys", temp+"-new"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		now := time.Now()
		for _, name := range []string{temp, "keys/" + temp} {
			if err := os.Chtimes(filepath.Join(dir, name), now.Add(-time.Hour), now.Add(-time.Hour)); err != nil {
				t.Fatal(err)
			}
		}
		l, err := repo.Open(dir, repo.Options{}).Lock(t.Context(), "test", 0)
		if err != nil || len(l.Recovered) != 1 {
			t.Fatalf("%v, recovered %q", err, l.Recovered)
		}
		l.Unlock()
		want := []string{"keys/" + temp + "-new", "keys/root.json", "keys/young" + temp, "pending/lock", "pending/mine"}
		if staged {
			want = append(want, "pending/change.json", "pending/content/x")
		}
		slices.Sort(want)
		var got []string
		for _, pattern := range []string{"*", ".*", "*/*", "*/.*", "pending/*/*"} {
			names, _ := filepath.Glob(filepath.Join(dir, pattern))
			for _, n := range names {
				if st, err := os.Stat(n); err == nil && st.Mode().IsRegular() {
					rel, _ := filepath.Rel(dir, n)
					got = append(got, rel)
				}
			}
		}
		slices.Sort(got)
		if got = slices.Compact(got); !slices.Equal(got, want) {
			t.Errorf("staged %v: left %q; want %q", staged, got, want)
		}
	}
}
