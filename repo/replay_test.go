package repo_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

// renames is what pending/journal says is to be moved, in order.
type renames []struct{ From, To string }

func journalOf(t testing.TB, r *repo.Repo) renames {
	t.Helper()
	var j struct{ Renames renames }
	if err := json.Unmarshal([]byte(repotest.Read(t, r, "pending/journal")), &j); err != nil {
		t.Fatal(err)
	}
	return j.Renames
}

// decided is a repository in which a commit was cut off when its journal was written,
// with the release that it was of.
type decided struct {
	r      *repo.Repo
	rel    *repo.Release
	before repotest.WebCopy
}

// changes are commits of each kind, on a repository that has orbit 1 in stable.
func changes(kr repotest.Keyring) map[string]func(t *testing.T, r *repo.Repo, p *repo.Published) (*repo.Change, error) {
	rotation := func(role string) func(t *testing.T, r *repo.Repo, p *repo.Published) (*repo.Change, error) {
		return func(t *testing.T, r *repo.Repo, p *repo.Published) (*repo.Change, error) {
			return edit.Rotate(r, p, nil, edit.Rotation{Role: role, Set: []meta.Key{kr.Make(t)}}, repo.StageOptions{})
		}
	}
	return map[string]func(t *testing.T, r *repo.Repo, p *repo.Published) (*repo.Change, error){
		"add": func(t *testing.T, r *repo.Repo, _ *repo.Published) (*repo.Change, error) {
			_, c, err := repotest.Put(t, r, "two", meta.Item{Name: "orbit", Platform: "linux", Version: "2", Channels: []string{"stable", "edge"}})
			return c, err
		},
		"promote": func(_ *testing.T, r *repo.Repo, p *repo.Published) (*repo.Change, error) {
			c, _, err := edit.Promote(r, p, nil, edit.Promotion{Version: "1", From: "stable", To: []string{"edge", "beta"}}, repo.StageOptions{})
			return c, err
		},
		"remove": func(_ *testing.T, r *repo.Repo, p *repo.Published) (*repo.Change, error) {
			c, _, err := edit.Remove(r, p, nil, edit.Removal{Channel: "stable"}, repo.StageOptions{})
			return c, err
		},
		"rotate root":      rotation(meta.RoleRoot),
		"rotate targets":   rotation(meta.RoleTargets),
		"rotate timestamp": rotation(meta.RoleTimestamp),
	}
}

func cutOff(t *testing.T, base *repo.Repo, kr repotest.Keyring, change func(t *testing.T, r *repo.Repo, p *repo.Published) (*repo.Change, error)) decided {
	t.Helper()
	d := decided{r: repotest.Clone(t, base), before: repotest.CopyWeb(t, base)}
	p := repotest.Load(t, d.r)
	c, err := change(t, d.r, p)
	if err != nil {
		t.Fatal(err)
	}
	for _, doc := range c.Docs() {
		kr.Sign(t, doc)
	}
	if err := d.r.Save(c); err != nil {
		t.Fatal(err)
	}
	if d.rel, err = d.r.Release(p, c, repo.ReleaseOptions{}); err != nil {
		t.Fatal(err)
	}
	for doc, err := d.rel.Next(); doc != nil || err != nil; doc, err = d.rel.Next() {
		if err != nil {
			t.Fatal(err)
		}
		kr.Sign(t, doc)
	}
	if err := d.r.Decide(d.rel); err != nil {
		t.Fatal(err)
	}
	return d
}

// after gives a copy in which the first k renames are done, as a kill leaves it. The
// lock of nobody is held.
func (d decided) after(t *testing.T, k int) *repo.Repo {
	t.Helper()
	dir := repotest.Folder(t)
	if err := os.CopyFS(dir, os.DirFS(d.r.Dir())); err != nil {
		t.Fatal(err)
	}
	for _, m := range journalOf(t, d.r)[:k] {
		to := filepath.Join(dir, m.To)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "pending", m.From), to); err != nil {
			t.Fatal(err)
		}
	}
	return repo.Open(dir, repo.Options{})
}

// TestReplayFromEveryPrefix: whenever a commit was killed between two of its renames, the
// next holder of the lock comes to the same bytes without any key; who only reads sees
// them already; and with consistent snapshots clients of before verify what is there, but
// for one moment of a rotation that takes keys from another role.
func TestReplayFromEveryPrefix(t *testing.T) {
	repotest.ForLayouts(t, func(t *testing.T, consistent bool) {
		base, kr := repotest.New(t, consistent)
		repotest.Add(t, base, kr, "one", repotest.Item("1"))
		kinds := changes(kr)
		if !consistent {
			kinds["migrate"] = func(_ *testing.T, r *repo.Repo, p *repo.Published) (*repo.Change, error) {
				return edit.Migrate(r, p, nil, repo.StageOptions{})
			}
		}
		for name, change := range kinds {
			t.Run(name, func(t *testing.T) {
				d := cutOff(t, base, kr, change)
				states := make([]*repo.Repo, len(journalOf(t, d.r))+1)
				for k := range states {
					states[k] = d.after(t, k)
				}
				if err := d.r.Commit(d.rel); err != nil {
					t.Fatal(err)
				}
				want, versions := repotest.CopyWeb(t, d.r), d.rel.Versions()
				window := strings.HasPrefix(name, "rotate ") && name != "rotate root"
				for k, r := range states {
					if consistent && (!window || k < len(states)-2) {
						repotest.Follows(t, r, d.before)
					}
					seenByReaders(t, k, r, versions)
					replayed(t, k, r, want)
				}
				repotest.Judge(t, states[0])
			})
		}
	})
}

func seenByReaders(t *testing.T, k int, r *repo.Repo, versions map[string]int64) {
	t.Helper()
	if waits, err := r.InterruptedCommit(); err != nil || !waits {
		t.Errorf("after %d renames: interrupted %v, %v", k, waits, err)
	}
	p := repotest.Load(t, r)
	for role, want := range versions {
		if got := p.VersionOf(role); got != want {
			t.Errorf("after %d renames readers see %s v%d, not v%d", k, role, got, want)
		}
	}
	if _, err := r.Staged(p); err != repo.ErrNothingStaged {
		t.Errorf("after %d renames the change that goes with the commit is still said to wait: %v", k, err)
	}
}

func replayed(t *testing.T, k int, r *repo.Repo, want repotest.WebCopy) {
	t.Helper()
	repotest.Write(t, r, "pending/.fleet-hsm-tmp-1", "{") // it was noting what it had published
	repotest.Lock(t, r)
	if got := repotest.CopyWeb(t, r); !maps.Equal(got, want) {
		t.Errorf("after %d renames the replay gives %q, not %q, or other bytes in them", k, slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
	}
	entries, err := os.ReadDir(filepath.Join(r.Dir(), "pending"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != "lock" && e.Name() != "history.json" {
			t.Errorf("after %d renames and the replay pending/ holds %q", k, e.Name())
		}
	}
}

// TestOrderOfRenames holds DESIGN 4 to the word.
func TestOrderOfRenames(t *testing.T) {
	const target, hashed = `targets/\S+ `, `targets/\S+/[0-9a-f]{128}\.\S+ `
	flat := map[string]string{
		"add":              `^(` + target + `){3}targets.json snapshot.json timestamp.json $`,
		"promote":          `^(` + target + `){2}targets.json snapshot.json timestamp.json $`,
		"remove":           `^targets.json snapshot.json timestamp.json $`,
		"rotate root":      `^2.root.json root.json $`,
		"rotate targets":   `^2.root.json root.json targets.json snapshot.json timestamp.json $`,
		"rotate timestamp": `^2.root.json root.json timestamp.json $`,
	}
	consistent := map[string]string{
		"add":              `^(` + hashed + `){3}3.targets.json 3.snapshot.json targets.json snapshot.json timestamp.json $`,
		"promote":          `^(` + hashed + `){2}3.targets.json 3.snapshot.json targets.json snapshot.json timestamp.json $`,
		"remove":           `^3.targets.json 3.snapshot.json targets.json snapshot.json timestamp.json $`,
		"rotate root":      `^root.json 2.root.json $`,
		"rotate targets":   `^3.targets.json 3.snapshot.json targets.json snapshot.json root.json 2.root.json timestamp.json $`,
		"rotate timestamp": `^root.json 2.root.json timestamp.json $`,
	}
	repotest.ForLayouts(t, func(t *testing.T, isConsistent bool) {
		base, kr := repotest.New(t, isConsistent)
		repotest.Add(t, base, kr, "one", repotest.Item("1"))
		for name, change := range changes(kr) {
			d := cutOff(t, base, kr, change)
			var order strings.Builder
			for _, m := range journalOf(t, d.r) {
				fmt.Fprintf(&order, "%s ", strings.TrimPrefix(m.To, "repository/"))
			}
			want := flat[name]
			if isConsistent {
				want = consistent[name]
			}
			if !regexp.MustCompile(want).MatchString(order.String()) {
				t.Errorf("%s renames %s; want %s", name, order.String(), want)
			}
		}
	})
}

// TestJournalsThatNoCommitWrites: a journal is replayed without a key, so it may name
// nothing outside of pending/commit and the web root.
func TestJournalsThatNoCommitWrites(t *testing.T) {
	base, _ := repotest.New(t, true)
	for name, text := range map[string]string{
		"no JSON":               `{`,
		"another schema":        `{"schema":2,"renames":[]}`,
		"out of the web root":   `{"schema":1,"renames":[{"from":"commit/0","to":"keys/root.json"}]}`,
		"up from the web root":  `{"schema":1,"renames":[{"from":"commit/0","to":"repository/../keys/root.json"}]}`,
		"from beside commit":    `{"schema":1,"renames":[{"from":"change.json","to":"repository/root.json"}]}`,
		"up from commit":        `{"schema":1,"renames":[{"from":"commit/../../keys/root.json","to":"repository/x"}]}`,
		"an absolute source":    `{"schema":1,"renames":[{"from":"/etc/passwd","to":"repository/x"}]}`,
		"neither file is there": `{"schema":1,"renames":[{"from":"commit/0","to":"repository/x"}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			dir := repotest.Folder(t)
			if err := os.CopyFS(dir, os.DirFS(base.Dir())); err != nil {
				t.Fatal(err)
			}
			r := repo.Open(dir, repo.Options{})
			before := repotest.CopyWeb(t, r)
			repotest.Write(t, r, "pending/journal", text)
			repotest.Write(t, r, "pending/change.json", "{}")
			if l, err := r.Lock(t.Context(), "test", 0); err == nil {
				l.Unlock()
				t.Error("it was replayed")
			}
			if !maps.Equal(repotest.CopyWeb(t, r), before) {
				t.Error("the web root changed")
			}
			if repotest.Read(t, r, "pending/change.json") != "{}" {
				t.Error("a file beside it is gone")
			}
		})
	}
}

// TestJournalThatCannotBeWritten: without one nothing is published, and the change waits as
// before; where one may have been written already, the commit is said to be interrupted and
// what it prepared stays for whoever finishes it.
func TestJournalThatCannotBeWritten(t *testing.T) {
	for name, c := range map[string]struct {
		inIt        string // in a folder of the journal's name, so that it stays
		interrupted bool
	}{"a folder in its place": {"", false}, "one that stays": {"x", true}} {
		r, kr := repotest.New(t, true)
		p, change, err := repotest.Put(t, r, "one", repotest.Item("1"))
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range change.Docs() {
			kr.Sign(t, d)
		}
		rel, err := r.Release(p, change, repo.ReleaseOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if rel.Published() != p || rel.Root() != p.Root {
			t.Error("the release is not on what it was made of")
		}
		if err := os.MkdirAll(filepath.Join(r.Dir(), "pending", "journal", c.inIt), 0o700); err != nil {
			t.Fatal(err)
		}
		before := repotest.CopyWeb(t, r)
		err = kr.TryCommit(r, rel)
		var cut *repo.InterruptedError
		if err == nil || errors.As(err, &cut) != c.interrupted || change.Fresh == c.interrupted {
			t.Errorf("%s: %v, fresh %v", name, err, change.Fresh)
		}
		if now := repotest.CopyWeb(t, r); !maps.Equal(now, before) {
			t.Errorf("%s: something was published", name)
		}
		if _, err := os.Stat(filepath.Join(r.Dir(), "pending", "commit")); (err == nil) != c.interrupted {
			t.Errorf("%s: what was prepared: %v", name, err)
		}
	}
}
