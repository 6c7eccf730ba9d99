package repo_test

import (
	"testing"

	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

// TestGivenUpTimestampIsAboveRotations: the roots are all that is left of what another tool
// has published. Each that took keys came with a timestamp, and clients that saw those lose
// their snapshot unless the next is above them.
func TestGivenUpTimestampIsAboveRotations(t *testing.T) {
	r, kr := repotest.New(t, false)
	repotest.Add(t, r, kr, "one", repotest.Item("1"))
	older, history := repotest.CopyWeb(t, r), repotest.Read(t, r, "pending/history.json")
	for range 4 {
		repotest.Rotate(t, r, kr, meta.RoleTargets)
	}
	repotest.Write(t, r, "pending/history.json", history) // the other tool keeps none
	older.Over(t, r, "targets.json", "snapshot.json", "timestamp.json")
	if _, err := r.Mend(true); err != nil {
		t.Fatal(err)
	}
	if err := repotest.Renew(r, kr, meta.RoleTargets); err != nil {
		t.Fatal(err)
	}
	if v := repotest.Load(t, r).VersionOf(meta.RoleTimestamp); v < 5 {
		t.Errorf("timestamp v%d after four rotations", v)
	}
	repotest.Judge(t, r)
}
