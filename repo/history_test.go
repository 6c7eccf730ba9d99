package repo_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

var plainFiles = []string{"root.json", "targets.json", "snapshot.json", "timestamp.json"}

// twoStates gives a repository and what it held before its newest root, targets,
// snapshot and timestamp.
func twoStates(t *testing.T, consistent bool) (*repo.Repo, repotest.Keyring, repotest.WebCopy) {
	t.Helper()
	r, kr := repotest.New(t, consistent)
	repotest.Add(t, r, kr, "one", repotest.Item("1"))
	old := repotest.CopyWeb(t, r)
	repotest.Rotate(t, r, kr, meta.RoleTargets)
	repotest.Add(t, r, kr, "two", repotest.Item("2"))
	return r, kr, old
}

// writers are the commands that sign, on what is published.
func writers(t *testing.T, r *repo.Repo, kr repotest.Keyring) map[string]func() error {
	change := func(f func(p *repo.Published) (*repo.Change, error)) func() error {
		return func() error {
			p, err := r.Load()
			if err != nil {
				return err
			}
			c, err := f(p)
			if err != nil {
				return err
			}
			return kr.Try(r, p, c)
		}
	}
	return map[string]func() error{
		"add": func() error {
			p, c, err := repotest.Put(t, r, "three", repotest.Item("3"))
			if err != nil {
				return err
			}
			return kr.Try(r, p, c)
		},
		"promote": change(func(p *repo.Published) (*repo.Change, error) {
			c, _, err := edit.Promote(r, p, nil, edit.Promotion{Version: "1", From: "stable", To: []string{"edge"}}, repo.StageOptions{})
			return c, err
		}),
		"rotate": change(func(p *repo.Published) (*repo.Change, error) {
			return edit.Rotate(r, p, nil, edit.Rotation{Role: meta.RoleSnapshot, Set: []meta.Key{kr.Make(t)}}, repo.StageOptions{})
		}),
		"renew root":    func() error { return repotest.Renew(r, kr, meta.RoleRoot) },
		"renew targets": func() error { return repotest.Renew(r, kr, meta.RoleTargets) },
		"timestamp":     func() error { return repotest.TryStamp(r, kr) },
	}
}

// An older copy of the plain files is laid over newer ones. Nobody builds on it, no
// published number gets other bytes, and mending leads to what every client accepts.
func TestOldCopyLaidOver(t *testing.T) {
	repotest.ForLayouts(t, func(t *testing.T, consistent bool) {
		r, kr, old := twoStates(t, consistent)
		seen := repotest.CopyWeb(t, r)
		for name := range writers(t, r, kr) {
			c := repotest.Clone(t, r)
			old.Over(t, c)
			err := writers(t, c, kr)[name]()
			if !repotest.KindIs(meta.WentBack)(err) {
				t.Errorf("%s: %v", name, err)
			}
			seen.Unchanged(t, c)
		}
		old.Over(t, r)
		m, err := r.Mend(false)
		if consistent {
			if err != nil || len(m.Done) != 3 {
				t.Fatalf("mended %q, %v", m.Done, err)
			}
			repotest.Stamp(t, r, kr)
			repotest.Follows(t, r, old, seen)
		} else {
			// root.json is mended; the targets of the new root are gone for good.
			if !repotest.KindIs(meta.LostVersions)(err) {
				t.Fatalf("mended %q, %v", m.Done, err)
			}
			for _, name := range plainFiles[1:] {
				seen.Over(t, r, name)
			}
			seen.Over(t, r, "targets/orbit/linux/stable/orbit")
			if _, err := r.Mend(false); err != nil {
				t.Fatal(err)
			}
		}
		repotest.Judge(t, r)
		repotest.Add(t, r, kr, "three", repotest.Item("3"))
		repotest.Judge(t, r)
		repotest.Follows(t, r, old, seen)
		seen.Unchanged(t, r)
	})
}

// Every subset of the plain files goes back, under one and the same root. Either the
// commands go on above what was seen, or they refuse and giving up leads on.
func TestEverySubsetGoesBack(t *testing.T) {
	repotest.ForLayouts(t, func(t *testing.T, consistent bool) {
		base, kr := repotest.New(t, consistent)
		repotest.Add(t, base, kr, "one", repotest.Item("1"))
		old := repotest.CopyWeb(t, base)
		repotest.Add(t, base, kr, "two", repotest.Item("2"))
		repotest.Stamp(t, base, kr)
		seen, was := repotest.CopyWeb(t, base), repotest.Load(t, base)
		for set := 1; set < 8; set++ {
			var names []string
			for i, name := range plainFiles[1:] {
				if set&(1<<i) != 0 {
					names = append(names, name)
				}
			}
			r := repotest.Clone(t, base)
			old.Over(t, r, names...)
			err := repotest.Renew(r, kr, meta.RoleTargets)
			if err != nil {
				if _, merr := r.Mend(false); merr != nil {
					if _, gerr := r.Mend(true); gerr != nil {
						t.Errorf("%v: %v; mending: %v; giving up: %v", names, err, merr, gerr)
						continue
					}
				}
				if err = repotest.Renew(r, kr, meta.RoleTargets); err != nil {
					t.Errorf("%v, mended: %v", names, err)
					continue
				}
			}
			p := repotest.Load(t, r)
			for _, role := range meta.Roles()[1:] {
				if p.VersionOf(role) <= was.VersionOf(role) {
					t.Errorf("%v: %s v%d was signed again", names, role, p.VersionOf(role))
				}
			}
			repotest.Follows(t, r, old, seen)
			seen.Unchanged(t, r)
		}
	})
}

// A timestamp alone is never lost: the next one is numbered above every one before.
func TestTimestampRisesOverTheHistory(t *testing.T) {
	r, kr := repotest.New(t, false)
	old := repotest.CopyWeb(t, r)
	for range 3 {
		repotest.Stamp(t, r, kr)
	}
	last := repotest.Load(t, r).VersionOf(meta.RoleTimestamp)
	old.Over(t, r, "timestamp.json")
	repotest.Stamp(t, r, kr)
	if now := repotest.Load(t, r).VersionOf(meta.RoleTimestamp); now != last+1 {
		t.Errorf("timestamp v%d after v%d was put back", now, last)
	}
}

// TestTimestampOnAnothersSnapshot: what another tool signed on an older copy gets no
// timestamp, although the timestamp reads no targets.json otherwise.
func TestTimestampOnAnothersSnapshot(t *testing.T) {
	repotest.ForLayouts(t, func(t *testing.T, consistent bool) {
		r, kr := repotest.New(t, consistent)
		repotest.Add(t, r, kr, "one", repotest.Item("1"))
		other := repotest.Clone(t, r)
		for _, content := range []string{"two", "three"} {
			repotest.Add(t, r, kr, content, repotest.Item(content))
		}
		repotest.Remove(t, other, "pending/history.json")
		for range 3 {
			repotest.Rotate(t, other, kr, meta.RoleSnapshot)
		}
		repotest.CopyWeb(t, other).Over(t, r)
		if err := repotest.TryStamp(r, kr); !repotest.KindIs(meta.LostVersions)(err) && !repotest.KindIs(meta.WentBack)(err) {
			t.Errorf("a timestamp over older targets: %v", err)
		}
		// Where nothing contradicts it, it is read once and known from then on.
		repotest.Add(t, other, kr, "two", repotest.Item("2"))
		repotest.Remove(t, other, "pending/history.json")
		repotest.Stamp(t, other, kr)
		repotest.Rotate(t, other, kr, meta.RoleSnapshot)
		repotest.Stamp(t, other, kr)
		repotest.Remove(t, other, "repository/targets.json")
		if err := repotest.TryStamp(other, kr); err != nil {
			t.Errorf("targets.json was read: %v", err)
		}
	})
}

// TestTimestampNotesTargets: the number that the snapshot names counts, although the
// timestamp has not read targets.json.
func TestTimestampNotesTargets(t *testing.T) {
	r, kr := repotest.New(t, false)
	old := repotest.CopyWeb(t, r)
	for _, content := range []string{"one", "two"} {
		repotest.Add(t, r, kr, content, repotest.Item(content))
	}
	repotest.Remove(t, r, "pending/history.json")
	repotest.Stamp(t, r, kr)
	old.Over(t, r)
	if _, err := r.Mend(true); err != nil {
		t.Fatal(err)
	}
	repotest.Add(t, r, kr, "three", repotest.Item("3"))
	if got := repotest.Load(t, r).VersionOf(meta.RoleTargets); got != 4 {
		t.Errorf("after targets v3 comes v%d", got)
	}
}

// A number is above all that carries one, and a stranger's file does not use them up.
func TestNumbersAboveStrayFiles(t *testing.T) {
	for name, want := range map[string]int64{"7.targets.json": 8, "7.snapshot.json": 8, "900000000000001.targets.json": 3} {
		r, kr := repotest.New(t, true)
		repotest.Add(t, r, kr, "one", repotest.Item("1"))
		repotest.Write(t, r, "repository/"+name, "{}")
		repotest.Add(t, r, kr, "two", repotest.Item("2"))
		_, role, _ := strings.Cut(strings.TrimSuffix(name, ".json"), ".")
		if got := repotest.Load(t, r).VersionOf(role); got != want {
			t.Errorf("beside %q comes %s v%d, not v%d", name, role, got, want)
		}
	}
}

// A staged change whose number was published meanwhile, in a folder that went back.
func TestStagedChangeOfAnOldCopy(t *testing.T) {
	repotest.ForLayouts(t, func(t *testing.T, consistent bool) {
		r, kr := repotest.New(t, consistent)
		old := repotest.CopyWeb(t, r)
		p, c, err := repotest.Put(t, r, "one", repotest.Item("1"))
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Save(c); err != nil {
			t.Fatal(err)
		}
		change := repotest.Read(t, r, "pending/change.json")
		kr.Publish(t, r, p, c)
		seen := repotest.CopyWeb(t, r)
		old.Over(t, r, plainFiles...)
		repotest.Write(t, r, "pending/change.json", change)
		p, err = r.Load()
		if err != nil {
			t.Fatal(err)
		}
		if c, err = r.Staged(p); err != nil {
			t.Fatal(err)
		}
		if err := kr.Try(r, p, c); !errors.Is(err, meta.ErrRefused) {
			t.Errorf("published again: %v", err)
		}
		seen.Unchanged(t, r)
	})
}

// The history of another repository in the same folder says nothing.
func TestHistoryOfAnotherRepository(t *testing.T) {
	r, kr := repotest.New(t, false)
	repotest.Add(t, r, kr, "one", repotest.Item("1"))
	other, okr := repotest.New(t, false)
	if err := os.RemoveAll(filepath.Join(r.Dir(), "repository")); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(r.Dir(), "repository"), os.DirFS(filepath.Join(other.Dir(), "repository"))); err != nil {
		t.Fatal(err)
	}
	repotest.Add(t, r, okr, "two", repotest.Item("2"))
	repotest.Judge(t, r)
}

// A history that lost power is none; one that is damaged is told.
func TestDamagedHistory(t *testing.T) {
	r, kr := repotest.New(t, false)
	repotest.Write(t, r, "pending/history.json", "")
	repotest.Add(t, r, kr, "one", repotest.Item("1"))
	for _, text := range []string{"{", `{"schema":0}`, `{"schema":1,"roles":{"root":{"version":0}}}`, `{"schema":1,"roles":{"x":{"version":1}}}`} {
		repotest.Write(t, r, "pending/history.json", text)
		if _, err := r.Load(); !errors.Is(err, meta.ErrMetadata) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
