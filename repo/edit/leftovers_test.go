package edit_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

// TestFleetctlLeftovers: what fleetctl left is named, never read; what may be the only copy
// of a key or of signatures is moved aside.
func TestFleetctlLeftovers(t *testing.T) {
	for _, root := range []bool{false, true} {
		r, _ := repotest.New(t, false)
		if found, err := edit.FleetctlLeftovers(r); len(found) > 0 || err != nil {
			t.Errorf("nothing was left, and found are %q, %v", found, err)
		}
		files := []string{"staged/targets/orbit/linux/1/orbit", "staged/targets.json", "keys/.backup/root.json", "repository/.backup/root.json"}
		if root {
			files = append(files, "staged/root.json")
		}
		for _, name := range files {
			if err := os.MkdirAll(filepath.Dir(filepath.Join(r.Dir(), name)), 0o700); err != nil {
				t.Fatal(err)
			}
			repotest.Write(t, r, name, "left")
		}
		want := []string{"repository/.backup", "keys/.backup", "staged/targets/orbit/linux/1/orbit", "staged/targets.json"}
		if root {
			want = append(want, "staged/root.json")
		}
		found, err := edit.FleetctlLeftovers(r)
		slices.Sort(found)
		slices.Sort(want)
		if err != nil || !slices.Equal(found, want) || edit.StagedRoot(found) != root {
			t.Errorf("found %q, %v", found, err)
		}
		at := repotest.At(r, time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC))
		if err := edit.DropFleetctlLeftovers(at); err != nil {
			t.Fatal(err)
		}
		if found, err = edit.FleetctlLeftovers(r); len(found) > 0 || err != nil {
			t.Errorf("dropped, and found are %q, %v", found, err)
		}
		if repotest.Read(t, r, "keys/retired/fleetctl-backup-20300102T030405Z/root.json") != "left" {
			t.Error("the backup of keys is gone")
		}
		if root && repotest.Read(t, r, "staged.kept-20300102T030405Z/root.json") != "left" {
			t.Error("the staged root is gone")
		}
		repotest.Load(t, r)
	}
}
