package repo_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

// TestContentIsHashedBeforeTheJournal: whatever lies in pending/ or in the web root in
// place of the content, of the same size and time, is not published, and what was
// hashed while it was copied is not read a second time.
func TestContentIsHashedBeforeTheJournal(t *testing.T) {
	for _, consistent := range []bool{true, false} {
		r, kr := repotest.New(t, consistent)
		r = reopened(t, r)
		repotest.Add(t, r, kr, "five!", meta.Item{Name: "orbit", Platform: "linux", Version: "1", Channels: []string{"a", "b"}})
		if n := r.Rehashed(); n != 0 {
			t.Errorf("consistent %v: add read %d bytes once more", consistent, n)
		}

		// Another process commits what this one staged.
		file := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(file, []byte("seven!!"), 0o600); err != nil {
			t.Fatal(err)
		}
		content, err := r.Stage(t.Context(), file, nil)
		if err != nil {
			t.Fatal(err)
		}
		p := repotest.Load(t, r)
		c, err := edit.Add(r, p, nil, []edit.StagedItem{{Item: meta.Item{Name: "orbit", Platform: "linux", Version: "2", File: file}, Content: content}}, repo.StageOptions{})
		if err != nil {
			t.Fatal(err)
		}
		other := reopened(t, r)
		mend := spoil(t, filepath.Join(r.Dir(), "pending", "content"))
		refusedContent(t, other, kr, p, c)
		mend()
		other = reopened(t, r)
		if err := publishErr(t, other, kr, p, c); err != nil || other.Rehashed() == 0 {
			t.Errorf("consistent %v: %v, %d bytes read", consistent, err, other.Rehashed())
		}

		// A promotion hashes what it publishes, once for all channels.
		last := reopened(t, r)
		p = repotest.Load(t, last)
		c, _, err = edit.Promote(last, p, nil, edit.Promotion{Version: "1", From: "a", To: []string{"x", "y", "z"}}, repo.StageOptions{})
		if err != nil {
			t.Fatal(err)
		}
		mend = spoil(t, filepath.Join(r.Dir(), "repository", "targets"))
		refusedContent(t, last, kr, p, c)
		mend()
		last = reopened(t, r)
		if err := publishErr(t, last, kr, p, c); err != nil || consistent && last.Rehashed() != 5 {
			t.Errorf("consistent %v: %v, %d bytes read", consistent, err, last.Rehashed())
		}
	}
}

// reopened is the same folder for another process.
func reopened(t *testing.T, r *repo.Repo) *repo.Repo {
	t.Helper()
	return repo.Open(r.Dir(), repo.Options{})
}

func refusedContent(t *testing.T, r *repo.Repo, kr repotest.Keyring, p *repo.Published, c *repo.Change) {
	t.Helper()
	err := publishErr(t, r, kr, p, c)
	var refused *meta.RefusedError
	if !errors.As(err, &refused) || refused.Kind != meta.MissingContent {
		t.Errorf("changed content: %v", err)
	}
	if there, err := r.InterruptedCommit(); there || err != nil {
		t.Errorf("a journal was written (%v)", err)
	}
}

func publishErr(t *testing.T, r *repo.Repo, kr repotest.Keyring, p *repo.Published, c *repo.Change) error {
	t.Helper()
	for _, d := range c.Docs() {
		kr.Sign(t, d)
	}
	rel, err := r.Release(p, c, repo.ReleaseOptions{})
	if err != nil {
		return err
	}
	for {
		d, err := rel.Next()
		if err != nil {
			return err
		}
		if d == nil {
			return r.Commit(rel)
		}
		kr.Sign(t, d)
	}
}

// spoil changes a byte of every file below a folder, keeps size and time, and gives
// what puts it right again.
func spoil(t *testing.T, dir string) (mend func()) {
	t.Helper()
	flip := func() {
		var seen []os.FileInfo
		err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			st, err := os.Stat(path)
			if err != nil || slices.ContainsFunc(seen, func(o os.FileInfo) bool { return os.SameFile(o, st) }) {
				return err
			}
			seen = append(seen, st)
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			data[0] ^= 1
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			if _, err := f.WriteAt(data, 0); err != nil {
				return err
			}
			if err := f.Close(); err != nil {
				return err
			}
			return os.Chtimes(path, st.ModTime(), st.ModTime())
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	flip()
	return flip
}
