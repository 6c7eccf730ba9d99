package repo_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

// history publishes versions 1.0.1 to 1.0.N of two components on two platforms, the last
// of them in stable and the second in "old".
func history(t testing.TB, d *daily, n int) {
	t.Helper()
	var items []repo.StagedItem
	for v := 1; v <= n; v++ {
		var channels []string
		switch v {
		case n:
			channels = []string{"stable", "edge"}
		case 2:
			channels = []string{"old"}
		}
		for _, name := range []string{"orbit", "desktop"} {
			for _, platform := range []string{"linux", "windows"} {
				items = append(items, d.item(t, name, platform, fmt.Sprintf("1.0.%d", v), channels...))
			}
		}
	}
	d.add(t, items...)
}

func (d *daily) archive(t testing.TB, a edit.Archiving) edit.ArchiveResult {
	t.Helper()
	p := d.load(t)
	c, res, err := edit.Archive(d.Repo, p, nil, a, repo.StageOptions{})
	if err != nil {
		t.Fatal(err)
	}
	d.Publish(t, d.Repo, p, c)
	return res
}

func keep(n int) edit.Archiving { return edit.Archiving{Retention: meta.Retention{Keep: n}} }

func (d *daily) cold(t testing.TB) map[string]*meta.Targets {
	t.Helper()
	p := d.load(t)
	if len(p.Warnings) > 0 {
		t.Errorf("warnings: %v", p.Warnings)
	}
	out := map[string]*meta.Targets{}
	for _, name := range p.Cold() {
		cold, err := p.ColdTargets(name)
		if err != nil {
			t.Fatal(err)
		}
		out[name] = cold
	}
	return out
}

func refusedAs(t testing.TB, err error, kind meta.RefusedKind) {
	t.Helper()
	var refused *meta.RefusedError
	if !errors.As(err, &refused) || refused.Kind != kind {
		t.Errorf("not refused as %s: %v", kind, err)
	}
}

// TestArchive follows a repository through archive, releases, a second archive and undo.
func TestArchive(t *testing.T) {
	repotest.ForLayouts(t, func(t *testing.T, consistent bool) {
		d := newDaily(t, consistent)
		history(t, d, 6)
		before := d.load(t)
		states := []repotest.WebCopy{repotest.CopyWeb(t, d.Repo)}
		res := d.archive(t, edit.Archiving{Retention: meta.Retention{Keep: 2, Pinned: []string{"1.0.3", "orbit/1.0.1"}}})
		// Of 1.0.1 to 1.0.6: 5 and 6 are the newest, 2 is in a channel, 3 is pinned, and 1 for orbit.
		if res.Moved != 2+4 || len(res.Roles) != 4 || res.Before-res.After != res.Moved {
			t.Errorf("%+v", res)
		}
		cold := d.cold(t)
		if got := cold["archive-desktop-linux"].Paths(); !slices.Equal(got, []string{"desktop/linux/1.0.1/desktop.tar.gz", "desktop/linux/1.0.4/desktop.tar.gz"}) {
			t.Errorf("archived %v", got)
		}
		p := d.load(t)
		if cold["archive-orbit-linux"].Version() != p.Targets.Version() || cold["archive-orbit-linux"].Expires().Before(p.Targets.Expires()) {
			t.Errorf("cold v%d until %s, targets v%d until %s", cold["archive-orbit-linux"].Version(), cold["archive-orbit-linux"].Expires(), p.Targets.Version(), p.Targets.Expires())
		}
		repotest.Judge(t, d.Repo)
		repotest.Follows(t, d.Repo, states...)
		states = append(states, repotest.CopyWeb(t, d.Repo))

		// A release afterwards signs targets alone, whatever the date.
		d.later(40 * 24 * time.Hour)
		p = d.load(t)
		c, err := edit.Add(d.Repo, p, nil, []repo.StagedItem{d.item(t, "orbit", "linux", "1.0.7", "stable")}, repo.StageOptions{})
		if err != nil || len(c.Docs()) != 1 {
			t.Fatalf("%v, %v", c, err)
		}
		d.Publish(t, d.Repo, p, c)
		if now := d.load(t); !now.Targets.Expires().Equal(cold["archive-orbit-linux"].Expires()) {
			t.Errorf("targets expires %s, and a cold role before", now.Targets.Expires())
		}
		repotest.Judge(t, d.Repo)
		repotest.Follows(t, d.Repo, states...)
		states = append(states, repotest.CopyWeb(t, d.Repo))

		// A renewal takes the cold roles along.
		if err := repotest.Renew(d.Repo, d.Keyring, meta.RoleTargets); err != nil {
			t.Fatal(err)
		}
		if now := d.load(t); !now.Targets.Expires().After(p.Targets.Expires()) || d.cold(t)["archive-orbit-linux"].Expires().Before(now.Targets.Expires()) {
			t.Error("not renewed")
		}
		repotest.Judge(t, d.Repo)
		repotest.Follows(t, d.Repo, states...)
		states = append(states, repotest.CopyWeb(t, d.Repo))

		// What was pinned goes, and 1.0.5 where there is a newer one.
		if res = d.archive(t, keep(2)); res.Moved != 4+2+1 {
			t.Errorf("%+v", res)
		}
		repotest.Judge(t, d.Repo)
		states = append(states, repotest.CopyWeb(t, d.Repo))
		d.archive(t, edit.Archiving{Undo: true})
		now := d.load(t)
		for _, path := range before.Targets.Paths() {
			a, _, _ := before.Targets.Get(path)
			b, ok, err := now.Targets.Get(path)
			if err != nil || !ok || a != b && !strings.Contains(path, "/stable/") {
				t.Errorf("%s: %v, then %v %v %v", path, a, b, ok, err)
			}
		}
		if cold := d.cold(t); len(cold) != 4 || cold["archive-orbit-linux"].Len() != 0 {
			t.Errorf("roles stay, empty: %v", cold)
		}
		repotest.Judge(t, d.Repo)
		repotest.Follows(t, d.Repo, states...)
		_, _, err = edit.Archive(d.Repo, now, nil, edit.Archiving{Undo: true}, repo.StageOptions{})
		refusedAs(t, err, meta.NoChange)
	})
}

// TestArchivedVersionComesBack: by promote, and by add of what is published, with the
// signature of targets alone.
func TestArchivedVersionComesBack(t *testing.T) {
	repotest.ForLayouts(t, func(t *testing.T, consistent bool) {
		d := newDaily(t, consistent)
		history(t, d, 5)
		d.archive(t, keep(1))
		p := d.load(t)
		c, table, err := edit.Promote(d.Repo, p, nil, edit.Promotion{Version: "1.0.3", From: "1.0.3", To: []string{"stable"}}, repo.StageOptions{})
		if err != nil || len(table) != 4 || len(c.Docs()) != 1 {
			t.Fatalf("%v, %v", table, err)
		}
		d.Publish(t, d.Repo, p, c)
		repotest.Judge(t, d.Repo)
		p = d.load(t)
		if got, _, _ := p.Targets.Get("orbit/linux/stable/orbit"); got.Version != "1.0.3" {
			t.Errorf("stable has %q", got.Version)
		}
		_, _, err = edit.Promote(d.Repo, p, nil, edit.Promotion{Version: "1.0.5", From: "edge", To: []string{"1.0.4"}, AllowMissing: true}, repo.StageOptions{})
		refusedAs(t, err, meta.Archived)

		content, path, below, err := d.PublishedContent(p, d.dir+"/repository/targets/orbit/linux/1.0.4/orbit")
		if err != nil || !below || path != "orbit/linux/1.0.4/orbit" {
			t.Fatalf("%v %q %v", err, path, below)
		}
		item := repo.Item{Name: "orbit", Platform: "linux", Version: "1.0.4", Channels: []string{"stable"}, File: "orbit"}
		c, err = edit.Add(d.Repo, p, nil, []repo.StagedItem{{Item: item, Content: content}}, repo.StageOptions{})
		if err != nil {
			t.Fatal(err)
		}
		d.Publish(t, d.Repo, p, c)
		repotest.Judge(t, d.Repo)
		if _, there, _ := d.load(t).Targets.Get("orbit/linux/1.0.4/orbit"); there {
			t.Error("the version stands in two roles")
		}
		p = d.load(t)
		other := d.item(t, "orbit", "linux", "other", "stable")
		other.Item.Version = "1.0.4"
		_, err = edit.Add(d.Repo, p, nil, []repo.StagedItem{other}, repo.StageOptions{Replace: true})
		refusedAs(t, err, meta.Archived)
	})
}

// TestRemoveArchived: a path of a cold role is taken out there.
func TestRemoveArchived(t *testing.T) {
	t.Parallel()
	d := newDaily(t, true)
	history(t, d, 5)
	d.archive(t, keep(1))
	p := d.load(t)
	c, gone, err := edit.Remove(d.Repo, p, nil, edit.Removal{Channel: "1.0.3"}, repo.StageOptions{})
	if err != nil || len(gone) != 4 || len(c.Docs()) != 5 {
		t.Fatalf("%v %v", gone, err)
	}
	d.Publish(t, d.Repo, p, c)
	repotest.Judge(t, d.Repo)
	if got := d.cold(t)["archive-orbit-linux"].Paths(); slices.Contains(got, "orbit/linux/1.0.3/orbit") || len(got) != 2 {
		t.Errorf("%v", got)
	}
}

// TestPrune takes versions out of targets and of cold roles, never what a channel names,
// and gc keeps what the archive names.
func TestPrune(t *testing.T) {
	repotest.ForLayouts(t, func(t *testing.T, consistent bool) {
		d := newDaily(t, consistent)
		history(t, d, 6)
		d.archive(t, keep(3))
		if list, err := d.Unreferenced(d.load(t), nil, 0); err != nil || len(list) > 0 {
			t.Fatalf("gc would delete %v, %v", list, err)
		}
		old := repotest.CopyWeb(t, d.Repo)
		p := d.load(t)
		_, _, undated, err := edit.Prune(d.Repo, p, nil, edit.Pruning{Before: time.Now().Add(-time.Hour)}, repo.StageOptions{})
		refusedAs(t, err, meta.NoChange)
		if undated != 0 {
			t.Errorf("%d undated", undated)
		}
		c, gone, _, err := edit.Prune(d.Repo, p, nil, edit.Pruning{Retention: meta.Retention{Keep: 2}}, repo.StageOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if len(gone) != 3*4 { // 1.0.1, 1.0.3 and 1.0.4; 1.0.2 is in a channel
			t.Errorf("%v", gone)
		}
		d.Publish(t, d.Repo, p, c)
		repotest.Judge(t, d.Repo)
		repotest.Follows(t, d.Repo, old)
		d.later(time.Hour)
		list, err := d.Unreferenced(d.load(t), nil, time.Minute)
		if err != nil || len(list) != 12 {
			t.Errorf("%d files, %v", len(list), err)
		}
		if err := d.RemoveUnreferenced(list); err != nil {
			t.Fatal(err)
		}
		repotest.Judge(t, d.Repo)
	})
}

// TestArchiveFollowsTargetsKeys: a key that targets loses is lost to the cold roles too.
func TestArchiveFollowsTargetsKeys(t *testing.T) {
	repotest.ForLayouts(t, func(t *testing.T, consistent bool) {
		d := newDaily(t, consistent)
		history(t, d, 4)
		d.archive(t, keep(1))
		old := repotest.CopyWeb(t, d.Repo)
		before := d.cold(t)["archive-orbit-linux"].Version()
		repotest.Rotate(t, d.Repo, d.Keyring, meta.RoleTargets)
		repotest.Judge(t, d.Repo)
		repotest.Follows(t, d.Repo, old)
		if v := d.cold(t)["archive-orbit-linux"].Version(); v <= before {
			t.Errorf("v%d, and v%d before", v, before)
		}
		// Keys of its own stay when targets' change, and are changed by archive.
		own := d.Make(t)
		a := keep(1)
		a.Keys = []meta.Key{own}
		d.archive(t, a)
		repotest.Judge(t, d.Repo)
		before = d.cold(t)["archive-orbit-linux"].Version()
		repotest.Rotate(t, d.Repo, d.Keyring, meta.RoleTargets)
		repotest.Judge(t, d.Repo)
		if v := d.cold(t)["archive-orbit-linux"].Version(); v != before {
			t.Errorf("signed again: v%d", v)
		}
		// A lost cold key: other keys, signed by targets and the new ones.
		delete(d.Keyring, own.ID)
		if err := repotest.Renew(d.Repo, d.Keyring, meta.RoleTargets); !errors.Is(err, meta.ErrShort) {
			t.Errorf("renewed without the key: %v", err)
		}
		a.Keys = []meta.Key{d.Make(t)}
		d.archive(t, a)
		repotest.Judge(t, d.Repo)
		repotest.Follows(t, d.Repo, old)
		if err := repotest.Renew(d.Repo, d.Keyring, meta.RoleTargets); err != nil {
			t.Error(err)
		}
	})
}

func TestCompareVersions(t *testing.T) {
	t.Parallel()
	order := []string{"0.9", "1.0-rc1", "1.0-rc2", "1.0", "1.0.1", "1.0.2", "1.0.10", "1.1.10.9", "1.1.10.81462", "1.2", "2", "10"}
	for i, a := range order {
		for j, b := range order {
			if got := meta.CompareVersions(a, b); got != min(1, max(-1, i-j)) {
				t.Errorf("%s and %s: %d", a, b, got)
			}
		}
	}
}
