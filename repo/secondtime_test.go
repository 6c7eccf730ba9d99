package repo_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

// TestSecondTime: to take away what was taken away before is no mistake, and nothing to
// do; what never was there is not found, and the nearest name is given. In the flat layout,
// where old metadata is overwritten, the bytes tell until they are deleted.
func TestSecondTime(t *testing.T) {
	repotest.ForLayouts(t, func(t *testing.T, consistent bool) {
		d := repotest.NewDaily(t, consistent)
		d.Releases(t, 3)
		const path = "orbit/linux/stable/orbit"
		remove := func(rm edit.Removal) (*repo.Change, error) {
			c, _, err := edit.Remove(d.Repo, d.Published(t), nil, rm, repo.StageOptions{})
			return c, err
		}
		for _, rm := range []edit.Removal{{Paths: []string{path}}, {Channel: "edge"}} {
			c, err := remove(rm)
			if err != nil {
				t.Fatal(err)
			}
			d.Publish(t, d.Repo, d.Published(t), c)
			_, err = remove(rm)
			repotest.RefusedAs(t, err, meta.NoChange)
		}
		for near, rm := range map[string]edit.Removal{
			"stable":                  {Channel: "stabel"},
			"orbit/linux/1.0.3/orbit": {Paths: []string{"orbit/linx/1.0.3/orbit"}},
			"orbit/linux/old/orbit":   {Paths: []string{"orbit/linux/odl/orbit"}},
		} {
			_, err := remove(rm)
			repotest.RefusedAs(t, err, meta.NotFound)
			var r *meta.RefusedError
			if !errors.As(err, &r) || r.Near != near {
				t.Errorf("%+v: %v; %q should be near (%+v)", rm, err, near, r)
			}
		}
		if consistent {
			return
		}
		for _, pattern := range []string{path, "*/*/edge/*"} {
			files, err := filepath.Glob(filepath.Join(d.Dir(), "repository", "targets", filepath.FromSlash(pattern)))
			if err != nil || len(files) == 0 {
				t.Fatalf("%s: %v, %v", pattern, files, err)
			}
			for _, file := range files {
				if err := os.Remove(file); err != nil {
					t.Fatal(err)
				}
			}
		}
		_, err := remove(edit.Removal{Paths: []string{path}})
		repotest.RefusedAs(t, err, meta.NotFound)
		_, err = remove(edit.Removal{Channel: "edge"})
		repotest.RefusedAs(t, err, meta.NotFound)
	})
}

// TestHeavy: from 2,000 targets on a word is said of what archiving would save, and what it
// says is what an archiving leaves.
func TestHeavy(t *testing.T) {
	t.Parallel()
	d := repotest.NewDaily(t, true)
	one := d.Item(t, "orbit", "linux", "0")
	var items []edit.StagedItem
	for v := range 1999 {
		it := one
		it.Item.Version = fmt.Sprintf("1.0.%d", v)
		items = append(items, it)
	}
	d.Add(t, items...)
	p := d.Published(t)
	re := meta.Retention{Keep: 9}
	if s := p.Targets.Heavy(re, p.TargetsSize()); s != "" {
		t.Errorf("1,999 targets: %s", s)
	}
	d.Add(t, d.Item(t, "orbit", "linux", "2.0.0"))
	p = d.Published(t)
	before, err := p.Weight()
	if err != nil || before.Bytes != p.TargetsSize() || before.Gzip >= before.Bytes || before.Gzip == 0 {
		t.Errorf("%+v, %v; %d bytes", before, err, p.TargetsSize())
	}
	n, size, err := p.Targets.Surplus(re)
	if err != nil || n != 2000-9 {
		t.Errorf("%d would go, %v", n, err)
	}
	if s := p.Targets.Heavy(re, p.TargetsSize()); !strings.Contains(s, `"fleet-hsm archive --keep 9" would leave 9 `) {
		t.Errorf("2,000 targets: %q", s)
	}
	if s := p.Targets.Heavy(meta.Retention{Keep: 5000}, p.TargetsSize()); s != "" {
		t.Errorf("nothing would go: %q", s)
	}
	c, _, err := edit.Archive(d.Repo, p, nil, edit.Archiving{Retention: re}, repo.StageOptions{})
	if err != nil {
		t.Fatal(err)
	}
	after, err := c.Weight()
	if err != nil || before.Bytes-after.Bytes > size || size-(before.Bytes-after.Bytes) > 1000 { // delegations come in
		t.Errorf("%d bytes, then %d (%v); %d were said to go", before.Bytes, after.Bytes, err, size)
	}
	if len(p.Cold()) != 0 || p.ColdSummary() != nil {
		t.Error("cold roles before there are any")
	}
	if roots, err := d.Roots(p); err != nil || len(roots) != 1 || roots[0].Version() != 1 {
		t.Errorf("%v, %v", roots, err)
	}
}
