package repo_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

// The chain of roots is whole before a new root, or there is none.
func TestChainBeforeEachRoot(t *testing.T) {
	repotest.ForLayouts(t, func(t *testing.T, consistent bool) {
		base, kr := repotest.New(t, consistent)
		for _, role := range []string{meta.RoleRoot, meta.RoleRoot, meta.RoleTargets} {
			repotest.Rotate(t, base, kr, role)
		}
		other, _ := repotest.New(t, consistent)
		for _, c := range []struct {
			what   string
			spoil  func(r *repo.Repo)
			whole  bool // a new root may be signed
			mended bool
		}{
			{"nothing", func(*repo.Repo) {}, true, true},
			{"begun from a later root", func(r *repo.Repo) { repotest.Remove(t, r, "repository/1.root.json", "repository/2.root.json") }, true, true},
			{"the last one is missing", func(r *repo.Repo) { repotest.Remove(t, r, "repository/4.root.json") }, false, true},
			{"one is missing", func(r *repo.Repo) { repotest.Remove(t, r, "repository/2.root.json") }, false, false},
			{"one is another's", func(r *repo.Repo) {
				repotest.Write(t, r, "repository/2.root.json", repotest.Read(t, other, "repository/1.root.json"))
			}, false, false},
			{"one was not signed by the one before", func(r *repo.Repo) {
				repotest.Write(t, r, "repository/1.root.json", repotest.Read(t, other, "repository/1.root.json"))
			}, false, false},
			{"one lies in fleetctl's backup", func(r *repo.Repo) {
				lost := repotest.Read(t, r, "repository/3.root.json")
				repotest.Remove(t, r, "repository/3.root.json")
				if err := os.Mkdir(filepath.Join(r.Dir(), "repository", ".backup"), 0o755); err != nil {
					t.Fatal(err)
				}
				repotest.Write(t, r, "repository/.backup/root.json", lost)
			}, false, true},
			{"root.json is missing", func(r *repo.Repo) { repotest.Remove(t, r, "repository/root.json") }, false, true},
		} {
			r := repotest.Clone(t, base)
			c.spoil(r)
			if err := repotest.Renew(repotest.Clone(t, r), kr, meta.RoleRoot); (err == nil) != c.whole {
				t.Errorf("%s: a new root gives %v", c.what, err)
			}
			if _, err := r.Mend(true); (err == nil) != c.mended {
				t.Errorf("%s: mending gives %v", c.what, err)
			}
			if !c.mended {
				continue
			}
			if err := repotest.Renew(r, kr, meta.RoleRoot); err != nil {
				t.Errorf("%s, mended: %v", c.what, err)
			}
			repotest.Judge(t, r)
		}
	})
}

// What is in a numbered file stays in it, whoever wants to write there.
func TestNumberedFilesAreFrozen(t *testing.T) {
	r, kr := repotest.New(t, true)
	repotest.Add(t, r, kr, "one", repotest.Item("1"))
	p, c, err := repotest.Put(t, r, "two", repotest.Item("2"))
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range c.Docs() {
		kr.Sign(t, d)
	}
	rel, err := r.Release(p, c, repo.ReleaseOptions{})
	if err != nil {
		t.Fatal(err)
	}
	// Another tool publishes the number between the signature and the commit.
	repotest.Write(t, r, "repository/3.targets.json", "{}")
	before := repotest.CopyWeb(t, r)
	if err := kr.TryCommit(r, rel); !repotest.KindIs(meta.VersionRegress)(err) {
		t.Errorf("committed over it: %v", err)
	}
	if now := repotest.CopyWeb(t, r); !slices.EqualFunc(plainFiles, plainFiles, func(a, b string) bool { return now[a] == before[b] }) {
		t.Error("half a commit is published")
	}
	before.Unchanged(t, r)
}

// A journal is finished only if the web root waits for it.
func TestJournalOfAnOldCopy(t *testing.T) {
	repotest.ForLayouts(t, func(t *testing.T, consistent bool) {
		r, kr := repotest.New(t, consistent)
		repotest.Add(t, r, kr, "one", repotest.Item("1"))
		was := repotest.CopyWeb(t, r)
		// An interrupted commit that would publish the files of now again, and an older
		// timestamp.
		if err := os.MkdirAll(filepath.Join(r.Dir(), "pending", "commit"), 0o700); err != nil {
			t.Fatal(err)
		}
		repotest.Write(t, r, "pending/commit/0", was["targets.json"])
		repotest.Write(t, r, "pending/commit/1", was["timestamp.json"])
		repotest.Write(t, r, "pending/journal", `{"schema":1,"change":false,"renames":[{"from":"commit/0","to":"repository/targets.json"},{"from":"commit/1","to":"repository/timestamp.json"}]}`)
		journal, first, second := repotest.Read(t, r, "pending/journal"), was["targets.json"], was["timestamp.json"]
		repotest.Remove(t, r, "pending/journal")
		repotest.Stamp(t, r, kr)
		now := repotest.CopyWeb(t, r)
		if err := os.MkdirAll(filepath.Join(r.Dir(), "pending", "commit"), 0o700); err != nil {
			t.Fatal(err)
		}
		repotest.Write(t, r, "pending/commit/0", first)
		repotest.Write(t, r, "pending/commit/1", second)
		repotest.Write(t, r, "pending/journal", journal)
		if waits, err := r.InterruptedCommit(); err != nil || waits {
			t.Errorf("it counts as interrupted: %v, %v", waits, err)
		}
		c := repo.Open(r.Dir(), repo.Options{})
		if v := repotest.Load(t, c).VersionOf(meta.RoleTimestamp); v != 3 {
			t.Errorf("readers see timestamp v%d", v)
		}
		copied := repotest.Clone(t, r) // takes the lock, so it recovers
		if got := repotest.CopyWeb(t, copied); got["timestamp.json"] != now["timestamp.json"] {
			t.Error("the old timestamp was published again")
		}
		repotest.Stamp(t, copied, kr)
		repotest.Judge(t, copied)
	})
}
