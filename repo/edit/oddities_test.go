package edit_test

import (
	"slices"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

// TestOddities: what fleetctl writes in its own way is named and does no harm; the next
// version is written without it.
func TestOddities(t *testing.T) {
	r, kr := repotest.New(t, false)
	repotest.Add(t, r, kr, "one", repotest.Item("1"))
	key := repotest.Load(t, r).Root.Keys(meta.RoleTimestamp)[0].ID
	local := kr.Resign(t, []byte(repotest.Read(t, r, "repository/timestamp.json")), repotest.SetTo("expires", "2036-12-06T17:07:47-03:00"), key)
	repotest.Write(t, r, "repository/timestamp.json", string(local))
	repotest.Write(t, r, "repository/root.json", repotest.Read(t, r, "repository/root.json")+"\n")
	var files []string
	for _, o := range edit.Oddities(r) {
		files = append(files, o.File)
	}
	if !slices.Equal(files, []string{"repository/root.json", "repository/timestamp.json"}) {
		t.Errorf("odd are %q", files)
	}
	repotest.Write(t, r, "repository/targets.json", "no JSON")
	if len(edit.Oddities(r)) != 2 {
		t.Error("a file that cannot be read counts as odd")
	}
}
