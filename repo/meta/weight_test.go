package meta_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

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
