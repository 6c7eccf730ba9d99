package meta_test

import (
	"testing"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

// TestWhoseKey: a cold role's keys are asked for as targets' where they are those.
func TestWhoseKey(t *testing.T) {
	t.Parallel()
	d := repotest.NewDaily(t, true)
	d.Releases(t, 4)
	p := d.Published(t)
	own := d.Make(t)
	for want, a := range map[string]edit.Archiving{meta.RoleTargets: repotest.Keep(1), meta.RoleCold: {Retention: meta.Retention{Keep: 1}, Keys: []meta.Key{own}}} {
		c, _, err := edit.Archive(d.Repo, p, nil, a, repo.StageOptions{})
		if err != nil {
			t.Fatal(err)
		}
		doc := c.Doc("archive-orbit-linux")
		for _, k := range doc.Keys() {
			if got := doc.KeyRole(k); got != want || (k.ID == own.ID) != (want == meta.RoleCold) {
				t.Errorf("key %s: asked for as %s, not %s", k.ID, got, want)
			}
		}
		targets := c.Doc(meta.RoleTargets)
		if got := targets.KeyRole(targets.Keys()[0]); got != meta.RoleTargets {
			t.Errorf("targets' own: %s", got)
		}
		if cold := c.ColdTargets("archive-orbit-linux"); cold == nil || cold.Len() != 2 || cold.Expires().Before(targets.Expires()) || !doc.Expires().Equal(cold.Expires()) {
			t.Errorf("%+v until %s", cold, doc.Expires())
		}
		if c.ColdTargets("nobody") != nil {
			t.Error("a role that is not there")
		}
	}
}
