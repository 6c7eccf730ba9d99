package edit_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

// TestMigrate: hashed names for everything, numbered files of the versions in force, plain
// files stay; whoever knew the flat layout follows, and whoever comes new.
func TestMigrate(t *testing.T) {
	r, kr := repotest.New(t, false)
	repotest.Add(t, r, kr, "one", repotest.Item("1"))
	repotest.Add(t, r, kr, "two", meta.Item{Name: "extensions/x", Platform: "linux", Version: "2"})
	before := repotest.CopyWeb(t, r)
	p := repotest.Load(t, r)
	c, err := edit.Migrate(r, p, nil, repo.StageOptions{})
	if err != nil {
		t.Fatal(err)
	}
	kr.Publish(t, r, p, c)
	now := repotest.CopyWeb(t, r)
	for name, data := range before {
		if _, changed := map[string]bool{"root.json": true, "snapshot.json": true, "timestamp.json": true}[name]; !changed && now[name] != data {
			t.Errorf("%q changed or is gone", name)
		}
	}
	for _, name := range []string{"2.root.json", "3.targets.json", "3.snapshot.json"} {
		if now[name] == "" {
			t.Errorf("%q is missing", name)
		}
	}
	repotest.Judge(t, r)
	repotest.Follows(t, r, before)
	if _, err := edit.Migrate(r, repotest.Load(t, r), nil, repo.StageOptions{}); !repotest.KindIs(meta.NoChange)(err) {
		t.Errorf("a second time: %v", err)
	}
	// A file of fleetctl's that nobody names any more is listed in both forms.
	repotest.Add(t, r, kr, "three", repotest.Item("3"))
	repotest.Judge(t, r)
}

// TestMigrateRefusesFirst: what would fail at commit is refused while nothing is staged.
func TestMigrateRefusesFirst(t *testing.T) {
	base, kr := repotest.New(t, false)
	repotest.Add(t, base, kr, "one", repotest.Item("1"))
	long := strings.Repeat("n", 127)
	for name, c := range map[string]struct {
		spoil func(r *repo.Repo)
		want  func(error) bool
	}{
		"a file is missing": {func(r *repo.Repo) { repotest.Remove(t, r, "repository/targets/orbit/linux/1/orbit") }, repotest.KindIs(meta.MissingContent)},
		"a file was cut": {func(r *repo.Repo) { repotest.Write(t, r, "repository/targets/orbit/linux/1/orbit", "o") },
			func(err error) bool { return errors.Is(err, repo.ErrContent) }},
		"no sha512": {func(r *repo.Repo) {
			kr.RewriteTargets(t, r, func(targets map[string]any) {
				target := targets["orbit/linux/1/orbit"].(map[string]any)
				target["hashes"] = map[string]any{"sha256": strings.Repeat("0", 64)}
			})
		}, repotest.KindIs(meta.MissingContent)},
		"a name with no room for a hash": {func(r *repo.Repo) {
			kr.RewriteTargets(t, r, func(targets map[string]any) { targets["a/b/c/"+long] = targets["orbit/linux/1/orbit"] })
			if err := os.MkdirAll(repotest.WebPath(r, "targets/a/b/c"), 0o755); err != nil {
				t.Fatal(err)
			}
			repotest.Write(t, r, "repository/targets/a/b/c/"+long, "one")
		}, repotest.IsName},
		"a path that leaves the folder": {func(r *repo.Repo) {
			kr.RewriteTargets(t, r, func(targets map[string]any) { targets["../../keys/root.json"] = targets["orbit/linux/1/orbit"] })
		}, repotest.IsName},
	} {
		r := repotest.Clone(t, base)
		c.spoil(r)
		p, err := r.Load()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := edit.Migrate(r, p, nil, repo.StageOptions{}); !c.want(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
