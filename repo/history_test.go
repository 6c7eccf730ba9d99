package repo_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

var plainFiles = []string{"root.json", "targets.json", "snapshot.json", "timestamp.json"}

func item(version string) repo.Item {
	return repo.Item{Name: "orbit", Platform: "linux", Version: version, Channels: []string{"stable"}}
}

// twoStates gives a repository and what it held before its newest root, targets,
// snapshot and timestamp.
func twoStates(t *testing.T, consistent bool) (*repo.Repo, keyring, webCopy) {
	t.Helper()
	r, kr := newRepo(t, consistent)
	add(t, r, kr, "one", item("1"))
	old := copyWeb(t, r)
	rotate(t, r, kr, meta.RoleTargets)
	add(t, r, kr, "two", item("2"))
	return r, kr, old
}

// writers are the commands that sign, on what is published.
func writers(t *testing.T, r *repo.Repo, kr keyring) map[string]func() error {
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
			return kr.try(r, p, c)
		}
	}
	return map[string]func() error{
		"add": func() error {
			p, c, err := put(t, r, "three", item("3"))
			if err != nil {
				return err
			}
			return kr.try(r, p, c)
		},
		"promote": change(func(p *repo.Published) (*repo.Change, error) {
			c, _, err := r.Promote(p, nil, repo.Promotion{Version: "1", From: "stable", To: []string{"edge"}}, repo.StageOptions{})
			return c, err
		}),
		"rotate": change(func(p *repo.Published) (*repo.Change, error) {
			return r.Rotate(p, nil, repo.Rotation{Role: meta.RoleSnapshot, Set: []meta.Key{kr.make(t)}}, repo.StageOptions{})
		}),
		"renew root":    func() error { return renew(r, kr, meta.RoleRoot) },
		"renew targets": func() error { return renew(r, kr, meta.RoleTargets) },
		"timestamp":     func() error { return tryStamp(r, kr) },
	}
}

// An older copy of the plain files is laid over newer ones. Nobody builds on it, no
// published number gets other bytes, and mending leads to what every client accepts.
func TestOldCopyLaidOver(t *testing.T) {
	forLayouts(t, func(t *testing.T, consistent bool) {
		r, kr, old := twoStates(t, consistent)
		seen := copyWeb(t, r)
		for name := range writers(t, r, kr) {
			c := clone(t, r)
			old.over(t, c)
			err := writers(t, c, kr)[name]()
			if !kindIs(meta.WentBack)(err) {
				t.Errorf("%s: %v", name, err)
			}
			seen.unchanged(t, c)
		}
		old.over(t, r)
		m, err := r.Mend(false)
		if consistent {
			if err != nil || len(m.Done) != 3 {
				t.Fatalf("mended %q, %v", m.Done, err)
			}
			stamp(t, r, kr)
			follows(t, r, old, seen)
		} else {
			// root.json is mended; the targets of the new root are gone for good.
			if !kindIs(meta.LostVersions)(err) {
				t.Fatalf("mended %q, %v", m.Done, err)
			}
			for _, name := range plainFiles[1:] {
				seen.over(t, r, name)
			}
			seen.over(t, r, "targets/orbit/linux/stable/orbit")
			if _, err := r.Mend(false); err != nil {
				t.Fatal(err)
			}
		}
		judge(t, r)
		add(t, r, kr, "three", item("3"))
		judge(t, r)
		follows(t, r, old, seen)
		seen.unchanged(t, r)
	})
}

// Every subset of the plain files goes back, under one and the same root. Either the
// commands go on above what was seen, or they refuse and giving up leads on.
func TestEverySubsetGoesBack(t *testing.T) {
	forLayouts(t, func(t *testing.T, consistent bool) {
		base, kr := newRepo(t, consistent)
		add(t, base, kr, "one", item("1"))
		old := copyWeb(t, base)
		add(t, base, kr, "two", item("2"))
		stamp(t, base, kr)
		seen, was := copyWeb(t, base), load(t, base)
		for set := 1; set < 8; set++ {
			var names []string
			for i, name := range plainFiles[1:] {
				if set&(1<<i) != 0 {
					names = append(names, name)
				}
			}
			r := clone(t, base)
			old.over(t, r, names...)
			err := renew(r, kr, meta.RoleTargets)
			if err != nil {
				if _, merr := r.Mend(false); merr != nil {
					if _, gerr := r.Mend(true); gerr != nil {
						t.Errorf("%v: %v; mending: %v; giving up: %v", names, err, merr, gerr)
						continue
					}
				}
				if err = renew(r, kr, meta.RoleTargets); err != nil {
					t.Errorf("%v, mended: %v", names, err)
					continue
				}
			}
			p := load(t, r)
			for _, role := range meta.Roles()[1:] {
				if p.VersionOf(role) <= was.VersionOf(role) {
					t.Errorf("%v: %s v%d was signed again", names, role, p.VersionOf(role))
				}
			}
			follows(t, r, old, seen)
			seen.unchanged(t, r)
		}
	})
}

// A timestamp alone is never lost: the next one is numbered above every one before.
func TestTimestampRisesOverTheHistory(t *testing.T) {
	r, kr := newRepo(t, false)
	old := copyWeb(t, r)
	for range 3 {
		stamp(t, r, kr)
	}
	last := load(t, r).VersionOf(meta.RoleTimestamp)
	old.over(t, r, "timestamp.json")
	stamp(t, r, kr)
	if now := load(t, r).VersionOf(meta.RoleTimestamp); now != last+1 {
		t.Errorf("timestamp v%d after v%d was put back", now, last)
	}
}

// TestTimestampOnAnothersSnapshot: what another tool signed on an older copy gets no
// timestamp, although the timestamp reads no targets.json otherwise.
func TestTimestampOnAnothersSnapshot(t *testing.T) {
	forLayouts(t, func(t *testing.T, consistent bool) {
		r, kr := newRepo(t, consistent)
		add(t, r, kr, "one", item("1"))
		other := clone(t, r)
		for _, content := range []string{"two", "three"} {
			add(t, r, kr, content, item(content))
		}
		remove(t, other, "pending/history.json")
		for range 3 {
			rotate(t, other, kr, meta.RoleSnapshot)
		}
		copyWeb(t, other).over(t, r)
		if err := tryStamp(r, kr); !kindIs(meta.LostVersions)(err) && !kindIs(meta.WentBack)(err) {
			t.Errorf("a timestamp over older targets: %v", err)
		}
		// Where nothing contradicts it, it is read once and known from then on.
		add(t, other, kr, "two", item("2"))
		remove(t, other, "pending/history.json")
		stamp(t, other, kr)
		rotate(t, other, kr, meta.RoleSnapshot)
		stamp(t, other, kr)
		remove(t, other, "repository/targets.json")
		if err := tryStamp(other, kr); err != nil {
			t.Errorf("targets.json was read: %v", err)
		}
	})
}

// TestTimestampNotesTargets: the number that the snapshot names counts, although the
// timestamp has not read targets.json.
func TestTimestampNotesTargets(t *testing.T) {
	r, kr := newRepo(t, false)
	old := copyWeb(t, r)
	for _, content := range []string{"one", "two"} {
		add(t, r, kr, content, item(content))
	}
	remove(t, r, "pending/history.json")
	stamp(t, r, kr)
	old.over(t, r)
	if _, err := r.Mend(true); err != nil {
		t.Fatal(err)
	}
	add(t, r, kr, "three", item("3"))
	if got := load(t, r).VersionOf(meta.RoleTargets); got != 4 {
		t.Errorf("after targets v3 comes v%d", got)
	}
}

// A number is above all that carries one, and a stranger's file does not use them up.
func TestNumbersAboveStrayFiles(t *testing.T) {
	for name, want := range map[string]int64{"7.targets.json": 8, "7.snapshot.json": 8, "900000000000001.targets.json": 3} {
		r, kr := newRepo(t, true)
		add(t, r, kr, "one", item("1"))
		write(t, r, "repository/"+name, "{}")
		add(t, r, kr, "two", item("2"))
		_, role, _ := strings.Cut(strings.TrimSuffix(name, ".json"), ".")
		if got := load(t, r).VersionOf(role); got != want {
			t.Errorf("beside %q comes %s v%d, not v%d", name, role, got, want)
		}
	}
}

// A staged change whose number was published meanwhile, in a folder that went back.
func TestStagedChangeOfAnOldCopy(t *testing.T) {
	forLayouts(t, func(t *testing.T, consistent bool) {
		r, kr := newRepo(t, consistent)
		old := copyWeb(t, r)
		p, c, err := put(t, r, "one", item("1"))
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Save(c); err != nil {
			t.Fatal(err)
		}
		change := read(t, r, "pending/change.json")
		kr.publish(t, r, p, c)
		seen := copyWeb(t, r)
		old.over(t, r, plainFiles...)
		write(t, r, "pending/change.json", change)
		p, err = r.Load()
		if err != nil {
			t.Fatal(err)
		}
		if c, err = r.Staged(p); err != nil {
			t.Fatal(err)
		}
		if err := kr.try(r, p, c); !errors.Is(err, meta.ErrRefused) {
			t.Errorf("published again: %v", err)
		}
		seen.unchanged(t, r)
	})
}

// The history of another repository in the same folder says nothing.
func TestHistoryOfAnotherRepository(t *testing.T) {
	r, kr := newRepo(t, false)
	add(t, r, kr, "one", item("1"))
	other, okr := newRepo(t, false)
	if err := os.RemoveAll(filepath.Join(r.Dir(), "repository")); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(r.Dir(), "repository"), os.DirFS(filepath.Join(other.Dir(), "repository"))); err != nil {
		t.Fatal(err)
	}
	add(t, r, okr, "two", item("2"))
	judge(t, r)
}

// A history that lost power is none; one that is damaged is told.
func TestDamagedHistory(t *testing.T) {
	r, kr := newRepo(t, false)
	write(t, r, "pending/history.json", "")
	add(t, r, kr, "one", item("1"))
	for _, text := range []string{"{", `{"schema":0}`, `{"schema":1,"roles":{"root":{"version":0}}}`, `{"schema":1,"roles":{"x":{"version":1}}}`} {
		write(t, r, "pending/history.json", text)
		if _, err := r.Load(); !errors.Is(err, meta.ErrMetadata) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func write(t testing.TB, r *repo.Repo, name, data string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(r.Dir(), filepath.FromSlash(name)), []byte(data), 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(t testing.TB, r *repo.Repo, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(r.Dir(), filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func remove(t testing.TB, r *repo.Repo, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := os.Remove(filepath.Join(r.Dir(), filepath.FromSlash(name))); err != nil {
			t.Fatal(err)
		}
	}
}
