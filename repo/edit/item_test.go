package edit_test

import (
	"testing"

	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

// TestCheckNames: new names that not every web root holds are refused before anything is
// staged; what is published or staged already counts.
func TestCheckNames(t *testing.T) {
	r, kr := repotest.New(t, true)
	repotest.Add(t, r, kr, "one", repotest.Item("1"))
	p := repotest.Load(t, r)
	it := func(name, version string, channels ...string) meta.Item {
		return meta.Item{Name: name, Platform: "linux", Version: version, Channels: channels}
	}
	for name, c := range map[string]struct {
		items []meta.Item
		ok    bool
	}{
		"what is there":            {[]meta.Item{repotest.Item("1")}, true},
		"a new channel":            {[]meta.Item{it("orbit", "2", "edge")}, true},
		"a name in other case":     {[]meta.Item{it("Orbit", "2")}, false},
		"a channel in other case":  {[]meta.Item{it("orbit", "2", "Stable")}, false},
		"two new, in other case":   {[]meta.Item{it("orbit", "2", "edge"), it("orbit", "3", "Edge")}, false},
		"a device of Windows":      {[]meta.Item{it("nul", "2")}, false},
		"a version that is a path": {[]meta.Item{it("orbit", "../2")}, false},
	} {
		if err := edit.CheckNames(r, p, nil, c.items); (err == nil) != c.ok || err != nil && !repotest.IsName(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
