package repo_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

// TestInit: only where nothing is; each role with a key, and a threshold that it can meet.
func TestInit(t *testing.T) {
	kr := repotest.Keyring{}
	keys := func() map[string][]meta.Key {
		m := map[string][]meta.Key{}
		for _, role := range meta.Roles() {
			m[role] = []meta.Key{kr.Make(t), kr.Make(t)}
		}
		return m
	}
	one := keys()
	twice := keys()
	twice["targets"][1] = twice["targets"][0]
	none := keys()
	delete(none, "snapshot")
	for name, c := range map[string]struct {
		opts repo.InitOptions
		want func(error) bool
	}{
		"two of two":           {repo.InitOptions{Keys: one, Thresholds: map[string]int{"root": 2}}, func(err error) bool { return err == nil }},
		"three of two":         {repo.InitOptions{Keys: one, Thresholds: map[string]int{"root": 3}}, repotest.KindIs(meta.ThresholdHigh)},
		"below one":            {repo.InitOptions{Keys: one, Thresholds: map[string]int{"root": -1}}, repotest.KindIs(meta.ThresholdHigh)},
		"a role without a key": {repo.InitOptions{Keys: none}, repotest.KindIs(meta.LastKey)},
		"one key twice":        {repo.InitOptions{Keys: twice}, repotest.KindIs(meta.DuplicateKey)},
	} {
		r := repo.Open(repotest.Folder(t), repo.Options{})
		if _, err := r.Init(c.opts); !c.want(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	r := repo.Open(repotest.Folder(t), repo.Options{})
	if err := r.CheckInit(); err != nil {
		t.Errorf("an empty folder: %v", err)
	}
	if err := r.CheckThere(); !errors.Is(err, repo.ErrNoRepository) {
		t.Errorf("an empty folder is a repository: %v", err)
	}
	if _, err := r.Load(); !errors.Is(err, repo.ErrNoRepository) {
		t.Errorf("an empty folder was loaded: %v", err)
	}
	for _, name := range []string{"repository/1.root.json", "repository/targets.json", "pending/change.json"} {
		r := repo.Open(repotest.Folder(t), repo.Options{})
		if err := os.MkdirAll(filepath.Dir(filepath.Join(r.Dir(), name)), 0o700); err != nil {
			t.Fatal(err)
		}
		repotest.Write(t, r, name, "{}")
		if err := r.CheckInit(); !errors.Is(err, repo.ErrExists) && !repotest.KindIs(meta.UnfinishedState)(err) {
			t.Errorf("with %q: %v", name, err)
		}
		if there := r.CheckThere(); (there == nil) != (name != "repository/targets.json") {
			t.Errorf("with %q: there %v", name, there)
		}
	}
}

// TestReaders: what the readers of files from elsewhere take is what root's keys signed.
func TestReaders(t *testing.T) {
	r, kr := repotest.New(t, true)
	other, _ := repotest.New(t, true)
	repotest.Add(t, r, kr, "one", repotest.Item("1"))
	root1 := []byte(repotest.Read(t, r, "repository/root.json"))
	repotest.Rotate(t, r, kr, "root")
	repotest.Rotate(t, r, kr, "targets")
	root2, root3, strange := []byte(repotest.Read(t, r, "repository/2.root.json")), []byte(repotest.Read(t, r, "repository/3.root.json")), []byte(repotest.Read(t, other, "repository/root.json"))
	targets := []byte(repotest.Read(t, r, "repository/targets.json"))
	for name, c := range map[string]struct {
		err error
		ok  bool
	}{
		"the next root":          {meta.FollowsRoot(root1, root2), true},
		"the same root":          {meta.FollowsRoot(root2, root2), true},
		"the one after the next": {meta.FollowsRoot(root1, root3), false},
		"the one before":         {meta.FollowsRoot(root2, root1), false},
		"a stranger's":           {meta.FollowsRoot(root1, strange), false},
		"targets for a root":     {meta.FollowsRoot(root1, targets), false},
		"after targets":          {meta.FollowsRoot(targets, root1), false},
		"targets of its root":    {meta.Accepts(root3, "targets", targets), true},
		"targets of an old root": {meta.Accepts(root2, "targets", targets), false},
		"targets of a stranger":  {meta.Accepts(strange, "targets", targets), false},
		"targets as a timestamp": {meta.Accepts(root3, "timestamp", targets), false},
		"no metadata":            {meta.Accepts(root3, "targets", []byte("[]")), false},
		"no root":                {meta.Accepts(targets, "targets", targets), false},
	} {
		if (c.err == nil) != c.ok || c.err != nil && !errors.Is(c.err, meta.ErrMetadata) {
			t.Errorf("%s: %v", name, c.err)
		}
	}
	now, err := meta.ReadRoot("x", root3)
	if err != nil {
		t.Fatal(err)
	}
	if ts, err := meta.ReadTargets(now, "x", targets); err != nil || ts.Len() != 2 {
		t.Errorf("targets: %v", err)
	}
	if _, err := meta.ReadTargets(now, "x", []byte(repotest.Read(t, r, "repository/snapshot.json"))); !errors.Is(err, meta.ErrMetadata) {
		t.Errorf("a snapshot for targets: %v", err)
	}
	p := repotest.Load(t, r)
	own, err := r.RootJSON()
	if err != nil || string(own) != string(root3) || string(p.RootJSON()) != string(root3) {
		t.Errorf("roots gives %d bytes, %v; want root v3", len(own), err)
	}
	if only, err := r.LoadRoot(); err != nil || only.Root.Version() != 3 || only.Targets != nil {
		t.Errorf("root alone: %v", err)
	}
	if err := r.CheckPublishable(p); err != nil {
		t.Errorf("not publishable: %v", err)
	}
	repotest.Remove(t, r, "repository/2.root.json")
	if err := r.CheckPublishable(p); !repotest.KindIs(meta.RootChain)(err) {
		t.Errorf("publishable with a gap in the chain: %v", err)
	}
}
