package edit_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/internal/osfile"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

func inode(t testing.TB, d *repotest.Daily, path string) uint64 {
	t.Helper()
	target, ok, err := d.Published(t).Targets.Get(path)
	if err != nil || !ok {
		t.Fatalf("%q: %v, %v", path, ok, err)
	}
	dir, base := filepath.Split(path)
	id, err := osfile.Identify(filepath.Join(d.Dir(), "repository", "targets", dir, target.SHA512+"."+base))
	if err != nil {
		t.Fatal(err)
	}
	return id.File
}

// A release of 2 components and 5 platforms goes to three channels in one change that
// three signatures publish; content is linked.
func TestPromoteRelease(t *testing.T) {
	t.Parallel()
	d := repotest.NewDaily(t, true)
	var items []edit.StagedItem
	platforms := []string{"linux", "linux-arm64", "macos", "windows", "windows-arm64"}
	for _, name := range []string{"orbit", "desktop"} {
		for _, platform := range platforms {
			items = append(items, d.Item(t, name, platform, "1.2.0", "edge"))
		}
	}
	items = append(items, d.Item(t, "extensions/hello", "linux", "1.2.0", "edge"))
	d.Add(t, items...)
	p := d.Published(t)
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
	if a, b := inode(t, d, "orbit/macos/edge/orbit"), inode(t, d, "orbit/macos/stable/orbit"); a != b {
		t.Error("stable holds a copy of what edge holds")
	}
	inode(t, d, "extensions/hello/linux/1.2/hello")
}

// BenchmarkPromote is a whole release on a repository of 2,000 targets, without the
// signatures: what the tool itself costs.
func BenchmarkPromote(b *testing.B) {
	d := repotest.NewDaily(b, true)
	var items []edit.StagedItem
	for v := range 200 {
		for _, platform := range []string{"linux", "linux-arm64", "macos", "windows", "windows-arm64"} {
			for _, name := range []string{"orbit", "desktop"} {
				items = append(items, d.Item(b, name, platform, fmt.Sprintf("1.%d", v)))
			}
		}
	}
	d.Add(b, items...)
	p := d.Published(b)
	b.ResetTimer()
	for range b.N {
		if _, moved, err := edit.Promote(d.Repo, p, nil, edit.Promotion{Version: "1.7", From: "1.7", To: []string{"stable", "1", "edge"}}, repo.StageOptions{}); err != nil || len(moved) != 30 {
			b.Fatal(len(moved), err)
		}
	}
}
