package meta_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

// TestCheckItems: one path has one file.
func TestCheckItems(t *testing.T) {
	a := meta.Item{Name: "orbit", Platform: "linux", Version: "1", Channels: []string{"stable", "1", "stable"}, File: "a"}
	if paths, err := a.Paths(); err != nil || !slices.Equal(paths, []string{"orbit/linux/1/orbit", "orbit/linux/stable/orbit"}) {
		t.Errorf("paths %q, %v", paths, err)
	}
	b := a
	b.File, b.Version = "b", "2"
	c := b
	c.Channels = []string{"edge"}
	bad := a
	bad.Version = "../1"
	for name, e := range map[string]struct {
		items []meta.Item
		want  func(error) bool
	}{
		"one file twice":        {[]meta.Item{a, a}, func(err error) bool { return err == nil }},
		"two, other channels":   {[]meta.Item{a, c}, func(err error) bool { return err == nil }},
		"two, a shared channel": {[]meta.Item{a, b}, repotest.KindIs(meta.VersionTaken)},
		"a version with a path": {[]meta.Item{a, bad}, repotest.IsName},
	} {
		if err := meta.CheckItems(e.items); !e.want(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestItemsThatClaimOnePath with different files are refused, and so are names that are no
// element of a path.
func TestItemsThatClaimOnePath(t *testing.T) {
	t.Parallel()
	item := func(file, version string) meta.Item {
		return meta.Item{Name: "orbit", Platform: "linux", Version: version, Channels: []string{"stable"}, File: file}
	}
	if err := meta.CheckItems([]meta.Item{item("a/orbit", "1"), item("a/orbit", "2")}); err != nil {
		t.Error(err)
	}
	if err := meta.CheckItems([]meta.Item{item("a/orbit", "1"), item("b/orbit", "2")}); !repotest.KindIs(meta.VersionTaken)(err) {
		t.Errorf("two files for stable: %v", err)
	}
	var bad *meta.NameError
	if err := meta.CheckItems([]meta.Item{item("a/orbit", "../1")}); !errors.As(err, &bad) {
		t.Errorf("%v", err)
	}
}
