package edit_test

import (
	"errors"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

func TestRotateRefuses(t *testing.T) {
	r, kr := repotest.New(t, true)
	p := repotest.Load(t, r)
	key := p.Root.Keys("targets")[0]
	more := []meta.Key{kr.Make(t), kr.Make(t)}
	for name, c := range map[string]struct {
		rot  edit.Rotation
		kind meta.RefusedKind
	}{
		"the same key again":            {edit.Rotation{Role: "targets", Add: []meta.Key{key}}, meta.DuplicateKey},
		"one new key twice":             {edit.Rotation{Role: "targets", Set: []meta.Key{more[0], more[0]}}, meta.DuplicateKey},
		"the last key":                  {edit.Rotation{Role: "targets", Remove: []string{key.ID.String()}}, meta.LastKey},
		"a key of another role":         {edit.Rotation{Role: "targets", Remove: []string{p.Root.Keys("root")[0].ID.String()}}, meta.UnknownKey},
		"too little of a key ID":        {edit.Rotation{Role: "targets", Remove: []string{key.ID.String()[:7]}}, meta.UnknownKey},
		"more signatures than keys":     {edit.Rotation{Role: "targets", Threshold: 2}, meta.ThresholdHigh},
		"a threshold below one":         {edit.Rotation{Role: "targets", Threshold: -1}, meta.ThresholdHigh},
		"the keys that it has":          {edit.Rotation{Role: "targets", Set: []meta.Key{key}}, meta.NoChange},
		"the threshold that it has":     {edit.Rotation{Role: "targets", Threshold: 1}, meta.NoChange},
		"a key added and taken at once": {edit.Rotation{Role: "targets", Set: []meta.Key{more[0]}, Remove: []string{more[0].ID.String()[:8]}}, meta.LastKey},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := edit.Rotate(r, p, nil, c.rot, repo.StageOptions{})
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
