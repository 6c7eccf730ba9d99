package edit_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

// TestForeignRoles: roles that another tool made, with a field that we do not know, are read
// and kept, and gc keeps what they name; they are not written again.
func TestForeignRoles(t *testing.T) {
	repotest.ForLayouts(t, func(t *testing.T, consistent bool) {
		d := repotest.NewDaily(t, consistent)
		d.Releases(t, 4)
		p := d.Published(t)
		c, _, err := edit.Archive(d.Repo, p, nil, repotest.Keep(1), repo.StageOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Save(c); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(d.Dir(), "pending", "change.json")
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		changed := strings.ReplaceAll(string(data), `"terminating":false`, `"terminating":false,"note":"theirs"`)
		if err := os.WriteFile(file, []byte(changed), 0o600); err != nil {
			t.Fatal(err)
		}
		if c, err = d.Staged(p); err != nil {
			t.Fatal(err)
		}
		d.Publish(t, d.Repo, p, c)
		p = d.Published(t)
		for name, a := range map[string]edit.Archiving{"archived": repotest.Keep(1), "brought back": {Undo: true}} {
			_, _, err := edit.Archive(d.Repo, p, nil, a, repo.StageOptions{})
			if err == nil || !repotest.KindIs(meta.ForeignRoles)(err) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if list, err := edit.FindUnreferenced(d.Repo, p, nil, 0); err != nil || len(list) > 0 {
			t.Errorf("gc would delete %v, %v", list, err)
		}
		d.Add(t, d.Item(t, "orbit", "linux", "1.0.9", "stable"))
		web, err := os.ReadFile(filepath.Join(d.Dir(), "repository", "targets.json"))
		if err != nil || !strings.Contains(string(web), `"note":"theirs"`) {
			t.Errorf("what they wrote is gone: %v", err)
		}
		repotest.Judge(t, d.Repo)
	})
}
