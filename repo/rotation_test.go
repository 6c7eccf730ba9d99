package repo_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

// TestWhatARotationSignsAgain: DESIGN 3 and COMPAT 5.4. Agents drop snapshot and targets
// when keys of theirs are taken away, and fetch them again only if the timestamp rises.
func TestWhatARotationSignsAgain(t *testing.T) {
	type rotation = func(kr repotest.Keyring, root *meta.Root) repo.Rotation
	replace := func(role string) rotation {
		return func(kr repotest.Keyring, _ *meta.Root) repo.Rotation {
			return repo.Rotation{Role: role, Set: []meta.Key{kr.Make(t)}}
		}
	}
	grow := func(role string) rotation {
		return func(kr repotest.Keyring, _ *meta.Root) repo.Rotation {
			return repo.Rotation{Role: role, Add: []meta.Key{kr.Make(t)}}
		}
	}
	double := func(role string) rotation {
		return func(kr repotest.Keyring, _ *meta.Root) repo.Rotation {
			return repo.Rotation{Role: role, Add: []meta.Key{kr.Make(t)}, Threshold: 2}
		}
	}
	shrink := func(role string) rotation {
		return func(_ repotest.Keyring, root *meta.Root) repo.Rotation {
			return repo.Rotation{Role: role, Remove: []string{root.Keys(role)[1].ID.String()}}
		}
	}
	lower := func(role string) rotation {
		return func(_ repotest.Keyring, _ *meta.Root) repo.Rotation { return repo.Rotation{Role: role, Threshold: 1} }
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
			repotest.Add(t, r, kr, "one", repo.Item{Name: "orbit", Platform: "linux", Version: "1.0.0"})
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

func TestRotateRefuses(t *testing.T) {
	r, kr := repotest.New(t, true)
	p := repotest.Load(t, r)
	key := p.Root.Keys("targets")[0]
	more := []meta.Key{kr.Make(t), kr.Make(t)}
	for name, c := range map[string]struct {
		rot  repo.Rotation
		kind meta.RefusedKind
	}{
		"the same key again":            {repo.Rotation{Role: "targets", Add: []meta.Key{key}}, meta.DuplicateKey},
		"one new key twice":             {repo.Rotation{Role: "targets", Set: []meta.Key{more[0], more[0]}}, meta.DuplicateKey},
		"the last key":                  {repo.Rotation{Role: "targets", Remove: []string{key.ID.String()}}, meta.LastKey},
		"a key of another role":         {repo.Rotation{Role: "targets", Remove: []string{p.Root.Keys("root")[0].ID.String()}}, meta.UnknownKey},
		"too little of a key ID":        {repo.Rotation{Role: "targets", Remove: []string{key.ID.String()[:7]}}, meta.UnknownKey},
		"more signatures than keys":     {repo.Rotation{Role: "targets", Threshold: 2}, meta.ThresholdHigh},
		"a threshold below one":         {repo.Rotation{Role: "targets", Threshold: -1}, meta.ThresholdHigh},
		"the keys that it has":          {repo.Rotation{Role: "targets", Set: []meta.Key{key}}, meta.NoChange},
		"the threshold that it has":     {repo.Rotation{Role: "targets", Threshold: 1}, meta.NoChange},
		"a key added and taken at once": {repo.Rotation{Role: "targets", Set: []meta.Key{more[0]}, Remove: []string{more[0].ID.String()[:8]}}, meta.LastKey},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := r.Rotate(p, nil, c.rot, repo.StageOptions{})
			var refused *meta.RefusedError
			if !errors.As(err, &refused) || refused.Kind != c.kind {
				t.Errorf("Rotate: %v; want %q", err, c.kind)
			}
		})
	}
	if now := repotest.Load(t, r); now.Root.Version() != 1 || len(now.Root.Keys("targets")) != 1 {
		t.Errorf("a refused rotation changed what was loaded or published: root v%d with %d targets keys", now.Root.Version(), len(now.Root.Keys("targets")))
	}
}

// TestKeysThatNoRoleNamesAreDropped: a key that stays listed would count again as soon as
// somebody names it, and one of an unknown type stops every agent.
func TestKeysThatNoRoleNamesAreDropped(t *testing.T) {
	r, kr := repotest.New(t, true)
	old := repotest.Load(t, r).Root.Keys("targets")[0]
	kr.RotateTo(t, r, repo.Rotation{Role: "targets", Set: []meta.Key{kr.Make(t)}})
	if _, _, ok := repotest.Load(t, r).Root.Key(old.ID); ok {
		t.Error("the replaced key is still among root's keys")
	}
}
