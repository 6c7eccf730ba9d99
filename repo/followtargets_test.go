package repo_test

import (
	"errors"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

// TestArchiveFollowsTargetsKeys: a key that targets loses is lost to the cold roles too.
func TestArchiveFollowsTargetsKeys(t *testing.T) {
	repotest.ForLayouts(t, func(t *testing.T, consistent bool) {
		d := repotest.NewDaily(t, consistent)
		d.Releases(t, 4)
		d.Archive(t, repotest.Keep(1))
		old := repotest.CopyWeb(t, d.Repo)
		before := d.ColdRoles(t)["archive-orbit-linux"].Version()
		repotest.Rotate(t, d.Repo, d.Keyring, meta.RoleTargets)
		repotest.Judge(t, d.Repo)
		repotest.Follows(t, d.Repo, old)
		if v := d.ColdRoles(t)["archive-orbit-linux"].Version(); v <= before {
			t.Errorf("v%d, and v%d before", v, before)
		}
		// Keys of its own stay when targets' change, and are changed by archive.
		own := d.Make(t)
		a := repotest.Keep(1)
		a.Keys = []meta.Key{own}
		d.Archive(t, a)
		repotest.Judge(t, d.Repo)
		before = d.ColdRoles(t)["archive-orbit-linux"].Version()
		repotest.Rotate(t, d.Repo, d.Keyring, meta.RoleTargets)
		repotest.Judge(t, d.Repo)
		if v := d.ColdRoles(t)["archive-orbit-linux"].Version(); v != before {
			t.Errorf("signed again: v%d", v)
		}
		// A lost cold key: other keys, signed by targets and the new ones.
		delete(d.Keyring, own.ID)
		if err := repotest.Renew(d.Repo, d.Keyring, meta.RoleTargets); !errors.Is(err, meta.ErrShort) {
			t.Errorf("renewed without the key: %v", err)
		}
		a.Keys = []meta.Key{d.Make(t)}
		d.Archive(t, a)
		repotest.Judge(t, d.Repo)
		repotest.Follows(t, d.Repo, old)
		if err := repotest.Renew(d.Repo, d.Keyring, meta.RoleTargets); err != nil {
			t.Error(err)
		}
	})
}
