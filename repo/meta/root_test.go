package meta_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

// TestSetKeys: who may sign for a role.
func TestSetKeys(t *testing.T) {
	kr := repotest.Keyring{}
	a, b := kr.Make(t), kr.Make(t)
	root := newRoot(t, kr, 1, a)
	for name, c := range map[string]struct {
		keys      []meta.Key
		threshold int
		kind      meta.RefusedKind
	}{
		"one key twice":       {[]meta.Key{a, b, a}, 1, meta.DuplicateKey},
		"no key":              {nil, 1, meta.LastKey},
		"more than there are": {[]meta.Key{a, b}, 3, meta.ThresholdHigh},
		"none needed":         {[]meta.Key{a, b}, 0, meta.ThresholdHigh},
	} {
		var refused *meta.RefusedError
		if err := root.Clone().SetKeys(meta.RoleTargets, c.keys, c.threshold); !errors.As(err, &refused) || refused.Kind != c.kind {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestUnusedKeysGo: a key that no role has any more stands in no new root.
func TestUnusedKeysGo(t *testing.T) {
	kr := repotest.Keyring{}
	a, b := kr.Make(t), kr.Make(t)
	root := newRoot(t, kr, 1, a)
	after := root.Clone()
	if err := after.SetKeys(meta.RoleRoot, []meta.Key{b}, 1); err != nil {
		t.Fatal(err)
	}
	signed, err := after.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, _, there := after.Key(a.ID); there || after.Names(a.ID.String()) || strings.Contains(string(signed), a.ID.String()) {
		t.Errorf("%s is still there: %s", a.ID, signed)
	}
	if _, roles, there := root.Key(a.ID); !there || len(roles) != 1 {
		t.Error("the root that was cloned is changed")
	}
	if meta.UnchangedRole(root, after, meta.RoleRoot) || !meta.KeysRemoved(root, after, meta.RoleRoot) || !meta.SameKeys(root, after, meta.RoleTargets) {
		t.Error("which roles changed is wrong")
	}
}

// TestExpiresInUTC: every expiry is written with Z, in whole seconds.
func TestExpiresInUTC(t *testing.T) {
	kr := repotest.Keyring{}
	here := time.Date(2030, 1, 2, 3, 4, 5, 6, time.FixedZone("here", -3*3600))
	root := newRoot(t, kr, 1, kr.Make(t))
	root.Renumber(7, here)
	targets := meta.NewTargets()
	targets.Renumber(7, here)
	for name, encode := range map[string]func() ([]byte, error){"root": root.Encode, "targets": targets.Encode} {
		signed, err := encode()
		if err != nil || !strings.Contains(string(signed), `"expires":"2030-01-02T06:04:05Z"`) || !strings.Contains(string(signed), `"version":7`) {
			t.Errorf("%s: %s (%v)", name, signed, err)
		}
	}
}
