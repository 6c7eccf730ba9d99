package repo_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/internal/osfile"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

// daily is a published repository with targets for every component, platform and
// channel that is named.
type daily struct {
	repotest.Keyring
	*repo.Repo
	dir string
	now time.Time // zero for the machine's
}

// later puts the clock on.
func (d *daily) later(by time.Duration) {
	d.now = d.Now().Add(by)
	d.Repo = repo.Open(d.dir, repo.Options{Now: func() time.Time { return d.now }})
}

func newDaily(t testing.TB, consistent bool) *daily {
	t.Helper()
	d := &daily{Keyring: repotest.Keyring{}, dir: repotest.Folder(t)}
	if err := os.Mkdir(filepath.Join(d.dir, "pending"), 0o700); err != nil {
		t.Fatal(err)
	}
	d.Repo = repo.Open(d.dir, repo.Options{})
	keys := map[string][]meta.Key{}
	for _, role := range meta.Roles() {
		keys[role] = []meta.Key{d.Make(t)}
	}
	c, err := d.Init(repo.InitOptions{Keys: keys, Consistent: consistent})
	if err != nil {
		t.Fatal(err)
	}
	d.Publish(t, d.Repo, nil, c)
	return d
}

func (d *daily) load(t testing.TB) *repo.Published {
	t.Helper()
	p, err := d.Load()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (d *daily) item(t testing.TB, name, platform, version string, channels ...string) repo.StagedItem {
	t.Helper()
	file := filepath.Join(t.TempDir(), filepath.Base(name))
	if err := os.WriteFile(file, []byte(name+platform+version), 0o644); err != nil {
		t.Fatal(err)
	}
	content, err := d.Stage(context.Background(), file, nil)
	if err != nil {
		t.Fatal(err)
	}
	return repo.StagedItem{Item: repo.Item{Name: name, Platform: platform, Version: version, Channels: channels, File: file}, Content: content}
}

func (d *daily) add(t testing.TB, items ...repo.StagedItem) {
	t.Helper()
	p := d.load(t)
	c, err := edit.Add(d.Repo, p, nil, items, repo.StageOptions{})
	if err != nil {
		t.Fatal(err)
	}
	d.Publish(t, d.Repo, p, c)
}

func (d *daily) inode(t testing.TB, path string) uint64 {
	t.Helper()
	target, ok, err := d.load(t).Targets.Get(path)
	if err != nil || !ok {
		t.Fatalf("%q: %v, %v", path, ok, err)
	}
	dir, base := filepath.Split(path)
	id, err := osfile.Identify(filepath.Join(d.dir, "repository", "targets", dir, target.SHA512+"."+base))
	if err != nil {
		t.Fatal(err)
	}
	return id.File
}

// A release of 2 components and 5 platforms goes to three channels in one change that
// three signatures publish; content is linked.
func TestPromoteRelease(t *testing.T) {
	t.Parallel()
	d := newDaily(t, true)
	var items []repo.StagedItem
	platforms := []string{"linux", "linux-arm64", "macos", "windows", "windows-arm64"}
	for _, name := range []string{"orbit", "desktop"} {
		for _, platform := range platforms {
			items = append(items, d.item(t, name, platform, "1.2.0", "edge"))
		}
	}
	items = append(items, d.item(t, "extensions/hello", "linux", "1.2.0", "edge"))
	d.add(t, items...)
	p := d.load(t)
	c, moved, err := edit.Promote(d.Repo, p, nil, edit.Promotion{Version: "1.2.0", From: "edge", To: []string{"stable", "1", "1.2"}}, repo.StageOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(moved) != len(items)*3 {
		t.Errorf("%d lines, not %d", len(moved), len(items)*3)
	}
	if docs := c.Docs(); len(docs) != 1 || docs[0].Role() != meta.RoleTargets {
		t.Errorf("%d documents to sign", len(docs))
	}
	for _, doc := range c.Docs() {
		d.Sign(t, doc)
	}
	rel, err := d.Release(p, c, repo.ReleaseOptions{})
	if err != nil {
		t.Fatal(err)
	}
	signed := []string{meta.RoleTargets}
	for {
		doc, err := rel.Next()
		if err != nil {
			t.Fatal(err)
		}
		if doc == nil {
			break
		}
		signed = append(signed, doc.Role())
		d.Sign(t, doc)
	}
	if want := []string{meta.RoleTargets, meta.RoleSnapshot, meta.RoleTimestamp}; !slices.Equal(signed, want) {
		t.Errorf("signed %v, not %v", signed, want)
	}
	if err := d.Commit(rel); err != nil {
		t.Fatal(err)
	}
	if a, b := d.inode(t, "orbit/macos/edge/orbit"), d.inode(t, "orbit/macos/stable/orbit"); a != b {
		t.Error("stable holds a copy of what edge holds")
	}
	d.inode(t, "extensions/hello/linux/1.2/hello")
}

func kindIs(kind meta.RefusedKind) func(error) bool {
	return func(err error) bool {
		var re *meta.RefusedError
		return errors.As(err, &re) && re.Kind == kind
	}
}

// BenchmarkPromote is a whole release on a repository of 2,000 targets, without the
// signatures: what the tool itself costs.
func BenchmarkPromote(b *testing.B) {
	d := newDaily(b, true)
	var items []repo.StagedItem
	for v := range 200 {
		for _, platform := range []string{"linux", "linux-arm64", "macos", "windows", "windows-arm64"} {
			for _, name := range []string{"orbit", "desktop"} {
				items = append(items, d.item(b, name, platform, fmt.Sprintf("1.%d", v)))
			}
		}
	}
	d.add(b, items...)
	p := d.load(b)
	b.ResetTimer()
	for range b.N {
		if _, moved, err := edit.Promote(d.Repo, p, nil, edit.Promotion{Version: "1.7", From: "1.7", To: []string{"stable", "1", "edge"}}, repo.StageOptions{}); err != nil || len(moved) != 30 {
			b.Fatal(len(moved), err)
		}
	}
}
