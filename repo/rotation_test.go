package repo_test

import (
	"slices"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

// TestWhatARotationSignsAgain: DESIGN 3 and COMPAT 5.4. Agents drop snapshot and targets
// when keys of theirs are taken away, and fetch them again only if the timestamp rises.
func TestWhatARotationSignsAgain(t *testing.T) {
	type rotation = func(kr repotest.Keyring, root *meta.Root) edit.Rotation
	replace := func(role string) rotation {
		return func(kr repotest.Keyring, _ *meta.Root) edit.Rotation {
			return edit.Rotation{Role: role, Set: []meta.Key{kr.Make(t)}}
		}
	}
	grow := func(role string) rotation {
		return func(kr repotest.Keyring, _ *meta.Root) edit.Rotation {
			return edit.Rotation{Role: role, Add: []meta.Key{kr.Make(t)}}
		}
	}
	double := func(role string) rotation {
		return func(kr repotest.Keyring, _ *meta.Root) edit.Rotation {
			return edit.Rotation{Role: role, Add: []meta.Key{kr.Make(t)}, Threshold: 2}
		}
	}
	shrink := func(role string) rotation {
		return func(_ repotest.Keyring, root *meta.Root) edit.Rotation {
			return edit.Rotation{Role: role, Remove: []string{root.Keys(role)[1].ID.String()}}
		}
	}
	lower := func(role string) rotation {
		return func(_ repotest.Keyring, _ *meta.Root) edit.Rotation { return edit.Rotation{Role: role, Threshold: 1} }
	}
	list := func(roles ...string) []string { return roles }
	for name, c := range map[string]struct {
		before rotation // published first, or nil
		rotate rotation
		want   []string // what is signed again, root aside
	}{
		"root, replaced":                 {rotate: replace("root")},
		"root, one more":                 {rotate: grow("root")},
		"root, two of two":               {rotate: double("root")},
		"targets, replaced":              {rotate: replace("targets"), want: list("targets", "snapshot", "timestamp")},
		"targets, one more":              {rotate: grow("targets")},
		"targets, two of two":            {rotate: double("targets"), want: list("targets", "snapshot", "timestamp")},
		"targets, one less":              {before: grow("targets"), rotate: shrink("targets"), want: list("timestamp")},
		"targets, two of two to one":     {before: double("targets"), rotate: lower("targets"), want: list("timestamp")},
		"snapshot, replaced":             {rotate: replace("snapshot"), want: list("snapshot", "timestamp")},
		"snapshot, one more":             {rotate: grow("snapshot")},
		"snapshot, two of two":           {rotate: double("snapshot"), want: list("snapshot", "timestamp")},
		"snapshot, one less":             {before: grow("snapshot"), rotate: shrink("snapshot"), want: list("timestamp")},
		"snapshot, two of two to one":    {before: double("snapshot"), rotate: lower("snapshot"), want: list("timestamp")},
		"timestamp, replaced":            {rotate: replace("timestamp"), want: list("timestamp")},
		"timestamp, one more":            {rotate: grow("timestamp")},
		"timestamp, two of two":          {rotate: double("timestamp"), want: list("timestamp")},
		"timestamp, one less":            {before: grow("timestamp"), rotate: shrink("timestamp"), want: list("timestamp")},
		"timestamp, two of two to one":   {before: double("timestamp"), rotate: lower("timestamp"), want: list("timestamp")},
		"targets, replaced and one more": {before: grow("targets"), rotate: replace("targets"), want: list("targets", "snapshot", "timestamp")},
	} {
		t.Run(name, func(t *testing.T) {
			r, kr := repotest.New(t, true)
			repotest.Add(t, r, kr, "one", meta.Item{Name: "orbit", Platform: "linux", Version: "1.0.0"})
			if c.before != nil {
				kr.RotateTo(t, r, c.before(kr, repotest.Load(t, r).Root))
			}
			before := repotest.Load(t, r)
			kr.RotateTo(t, r, c.rotate(kr, before.Root))
			after := repotest.Load(t, r)
			for _, role := range meta.Roles() {
				want := before.VersionOf(role)
				if role == meta.RoleRoot || slices.Contains(c.want, role) {
					want++
				}
				if got := after.VersionOf(role); got != want {
					t.Errorf("%s v%d -> v%d; want v%d", role, before.VersionOf(role), got, want)
				}
				if have := len(after.SignedBy(role)); have < after.Root.Threshold(role) {
					t.Errorf("%s has %d of %d signatures", role, have, after.Root.Threshold(role))
				}
			}
		})
	}
}

// TestKeysThatNoRoleNamesAreDropped: a key that stays listed would count again as soon as
// somebody names it, and one of an unknown type stops every agent.
func TestKeysThatNoRoleNamesAreDropped(t *testing.T) {
	r, kr := repotest.New(t, true)
	old := repotest.Load(t, r).Root.Keys("targets")[0]
	kr.RotateTo(t, r, edit.Rotation{Role: "targets", Set: []meta.Key{kr.Make(t)}})
	if _, _, ok := repotest.Load(t, r).Root.Key(old.ID); ok {
		t.Error("the replaced key is still among root's keys")
	}
}
