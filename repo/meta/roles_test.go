package meta_test

import (
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

// TestDefaultExpiries are fleetctl's own (COMPAT 1.3), and each can be set.
func TestDefaultExpiries(t *testing.T) {
	now := time.Now().UTC().Truncate(time.Second)
	r, kr := repotest.New(t, true)
	at := repotest.At(r, now.Add(time.Hour))
	repotest.Rotate(t, at, kr, meta.RoleTargets)
	p := repotest.Load(t, at)
	for role, hours := range map[string]int{"root": 87600, "targets": 26280, "snapshot": 26280, "timestamp": 336} {
		if got := p.ExpiresOf(role).Sub(now.Add(time.Hour)); got != time.Duration(hours)*time.Hour {
			t.Errorf("%s is valid for %s, not %dh", role, got, hours)
		}
	}
	rel, err := at.Timestamp(repo.ReleaseOptions{Expiries: meta.Expiries{"timestamp": 1000 * time.Hour}})
	if err != nil {
		t.Fatal(err)
	}
	kr.SignAndCommit(t, at, rel)
	if got := repotest.Load(t, at).Timestamp.Expires(); !got.Equal(now.Add(1001 * time.Hour)) {
		t.Errorf("a timestamp of 1000h expires %s", got)
	}
}
