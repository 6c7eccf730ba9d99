package edit_test

import (
	"maps"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

// TestHistoryOfTargets lists what each kept version held; what cannot be read is listed
// with its error.
func TestHistoryOfTargets(t *testing.T) {
	repotest.ForLayouts(t, func(t *testing.T, consistent bool) {
		r, kr := repotest.New(t, consistent)
		for _, v := range []string{"1", "2", "3"} {
			repotest.Add(t, r, kr, v, repotest.Item(v))
		}
		if consistent {
			repotest.Write(t, r, "repository/2.targets.json", "{")
			repotest.Write(t, r, "repository/3.targets.json", repotest.Read(t, r, "repository/1.targets.json"))
		}
		list, err := edit.History(r, repotest.Load(t, r))
		if err != nil {
			t.Fatal(err)
		}
		got := map[int64]int{}
		for _, n := range list {
			got[n.Version] = -1
			if n.Err == nil {
				got[n.Version] = n.Targets.Len()
			}
		}
		want := map[int64]int{4: 4}
		if consistent {
			want = map[int64]int{1: 0, 2: -1, 3: -1, 4: 4}
		}
		if !maps.Equal(got, want) {
			t.Errorf("version: targets is %v; want %v", got, want)
		}
	})
}
