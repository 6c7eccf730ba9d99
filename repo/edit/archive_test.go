package edit_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

// TestArchive follows a repository through archive, releases, a second archive and undo.
func TestArchive(t *testing.T) {
	repotest.ForLayouts(t, func(t *testing.T, consistent bool) {
		d := repotest.NewDaily(t, consistent)
		d.Releases(t, 6)
		before := d.Published(t)
		states := []repotest.WebCopy{repotest.CopyWeb(t, d.Repo)}
		res := d.Archive(t, edit.Archiving{Retention: meta.Retention{Keep: 2, Pinned: []string{"1.0.3", "orbit/1.0.1"}}})
		// Of 1.0.1 to 1.0.6: 5 and 6 are the newest, 2 is in a channel, 3 is pinned, and 1 for orbit.
		if res.Moved != 2+4 || len(res.Roles) != 4 || res.Before-res.After != res.Moved {
			t.Errorf("%+v", res)
		}
		cold := d.ColdRoles(t)
		if got := cold["archive-desktop-linux"].Paths(); !slices.Equal(got, []string{"desktop/linux/1.0.1/desktop.tar.gz", "desktop/linux/1.0.4/desktop.tar.gz"}) {
			t.Errorf("archived %v", got)
		}
		p := d.Published(t)
		if cold["archive-orbit-linux"].Version() != p.Targets.Version() || cold["archive-orbit-linux"].Expires().Before(p.Targets.Expires()) {
			t.Errorf("cold v%d until %s, targets v%d until %s", cold["archive-orbit-linux"].Version(), cold["archive-orbit-linux"].Expires(), p.Targets.Version(), p.Targets.Expires())
		}
		repotest.Judge(t, d.Repo)
		repotest.Follows(t, d.Repo, states...)
		states = append(states, repotest.CopyWeb(t, d.Repo))

		// A release afterwards signs targets alone, whatever the date.
		d.Later(40 * 24 * time.Hour)
		p = d.Published(t)
		c, err := edit.Add(d.Repo, p, nil, []edit.StagedItem{d.Item(t, "orbit", "linux", "1.0.7", "stable")}, repo.StageOptions{})
		if err != nil || len(c.Docs()) != 1 {
			t.Fatalf("%v, %v", c, err)
		}
		d.Publish(t, d.Repo, p, c)
		if now := d.Published(t); !now.Targets.Expires().Equal(cold["archive-orbit-linux"].Expires()) {
			t.Errorf("targets expires %s, and a cold role before", now.Targets.Expires())
		}
		repotest.Judge(t, d.Repo)
		repotest.Follows(t, d.Repo, states...)
		states = append(states, repotest.CopyWeb(t, d.Repo))

		// A renewal takes the cold roles along.
		if err := repotest.Renew(d.Repo, d.Keyring, meta.RoleTargets); err != nil {
			t.Fatal(err)
		}
		if now := d.Published(t); !now.Targets.Expires().After(p.Targets.Expires()) || d.ColdRoles(t)["archive-orbit-linux"].Expires().Before(now.Targets.Expires()) {
			t.Error("not renewed")
		}
		repotest.Judge(t, d.Repo)
		repotest.Follows(t, d.Repo, states...)
		states = append(states, repotest.CopyWeb(t, d.Repo))

		// What was pinned goes, and 1.0.5 where there is a newer one.
		if res = d.Archive(t, repotest.Keep(2)); res.Moved != 4+2+1 {
			t.Errorf("%+v", res)
		}
		repotest.Judge(t, d.Repo)
		states = append(states, repotest.CopyWeb(t, d.Repo))
		d.Archive(t, edit.Archiving{Undo: true})
		now := d.Published(t)
		for _, path := range before.Targets.Paths() {
			a, _, _ := before.Targets.Get(path)
			b, ok, err := now.Targets.Get(path)
			if err != nil || !ok || a != b && !strings.Contains(path, "/stable/") {
				t.Errorf("%s: %v, then %v %v %v", path, a, b, ok, err)
			}
		}
		if cold := d.ColdRoles(t); len(cold) != 4 || cold["archive-orbit-linux"].Len() != 0 {
			t.Errorf("roles stay, empty: %v", cold)
		}
		repotest.Judge(t, d.Repo)
		repotest.Follows(t, d.Repo, states...)
		_, _, err = edit.Archive(d.Repo, now, nil, edit.Archiving{Undo: true}, repo.StageOptions{})
		repotest.RefusedAs(t, err, meta.NoChange)
	})
}

// TestArchivedVersionComesBack: by promote, and by add of what is published, with the
// signature of targets alone.
func TestArchivedVersionComesBack(t *testing.T) {
	repotest.ForLayouts(t, func(t *testing.T, consistent bool) {
		d := repotest.NewDaily(t, consistent)
		d.Releases(t, 5)
		d.Archive(t, repotest.Keep(1))
		p := d.Published(t)
		c, table, err := edit.Promote(d.Repo, p, nil, edit.Promotion{Version: "1.0.3", From: "1.0.3", To: []string{"stable"}}, repo.StageOptions{})
		if err != nil || len(table) != 4 || len(c.Docs()) != 1 {
			t.Fatalf("%v, %v", table, err)
		}
		d.Publish(t, d.Repo, p, c)
		repotest.Judge(t, d.Repo)
		p = d.Published(t)
		if got, _, _ := p.Targets.Get("orbit/linux/stable/orbit"); got.Version != "1.0.3" {
			t.Errorf("stable has %q", got.Version)
		}
		_, _, err = edit.Promote(d.Repo, p, nil, edit.Promotion{Version: "1.0.5", From: "edge", To: []string{"1.0.4"}, AllowMissing: true}, repo.StageOptions{})
		repotest.RefusedAs(t, err, meta.Archived)

		content, path, below, err := d.PublishedContent(p, d.Dir()+"/repository/targets/orbit/linux/1.0.4/orbit")
		if err != nil || !below || path != "orbit/linux/1.0.4/orbit" {
			t.Fatalf("%v %q %v", err, path, below)
		}
		item := meta.Item{Name: "orbit", Platform: "linux", Version: "1.0.4", Channels: []string{"stable"}, File: "orbit"}
		c, err = edit.Add(d.Repo, p, nil, []edit.StagedItem{{Item: item, Content: content}}, repo.StageOptions{})
		if err != nil {
			t.Fatal(err)
		}
		d.Publish(t, d.Repo, p, c)
		repotest.Judge(t, d.Repo)
		if _, there, _ := d.Published(t).Targets.Get("orbit/linux/1.0.4/orbit"); there {
			t.Error("the version stands in two roles")
		}
		p = d.Published(t)
		other := d.Item(t, "orbit", "linux", "other", "stable")
		other.Item.Version = "1.0.4"
		_, err = edit.Add(d.Repo, p, nil, []edit.StagedItem{other}, repo.StageOptions{Replace: true})
		repotest.RefusedAs(t, err, meta.Archived)
	})
}

// TestRemoveArchived: a path of a cold role is taken out there.
func TestRemoveArchived(t *testing.T) {
	t.Parallel()
	d := repotest.NewDaily(t, true)
	d.Releases(t, 5)
	d.Archive(t, repotest.Keep(1))
	p := d.Published(t)
	c, gone, err := edit.Remove(d.Repo, p, nil, edit.Removal{Channel: "1.0.3"}, repo.StageOptions{})
	if err != nil || len(gone) != 4 || len(c.Docs()) != 5 {
		t.Fatalf("%v %v", gone, err)
	}
	d.Publish(t, d.Repo, p, c)
	repotest.Judge(t, d.Repo)
	if got := d.ColdRoles(t)["archive-orbit-linux"].Paths(); slices.Contains(got, "orbit/linux/1.0.3/orbit") || len(got) != 2 {
		t.Errorf("%v", got)
	}
}

// TestPrune takes versions out of targets and of cold roles, never what a channel names,
// and gc keeps what the archive names.
func TestPrune(t *testing.T) {
	repotest.ForLayouts(t, func(t *testing.T, consistent bool) {
		d := repotest.NewDaily(t, consistent)
		d.Releases(t, 6)
		d.Archive(t, repotest.Keep(3))
		if list, err := edit.FindUnreferenced(d.Repo, d.Published(t), nil, 0); err != nil || len(list) > 0 {
			t.Fatalf("gc would delete %v, %v", list, err)
		}
		old := repotest.CopyWeb(t, d.Repo)
		p := d.Published(t)
		_, _, undated, err := edit.Prune(d.Repo, p, nil, edit.Pruning{Before: time.Now().Add(-time.Hour)}, repo.StageOptions{})
		repotest.RefusedAs(t, err, meta.NoChange)
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
		d.Later(time.Hour)
		list, err := edit.FindUnreferenced(d.Repo, d.Published(t), nil, time.Minute)
		if err != nil || len(list) != 12 {
			t.Errorf("%d files, %v", len(list), err)
		}
		if err := edit.RemoveUnreferenced(d.Repo, list); err != nil {
			t.Fatal(err)
		}
		repotest.Judge(t, d.Repo)
	})
}
