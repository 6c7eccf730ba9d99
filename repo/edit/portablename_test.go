package edit_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

// TestUnportableNames: what Windows or macOS cannot hold beside what is there is refused
// by name, in every element of the path, when it is added and when it is promoted.
func TestUnportableNames(t *testing.T) {
	r, kr := repotest.New(t, true)
	item := func(name, platform, version string, channels ...string) meta.Item {
		return meta.Item{Name: name, Platform: platform, Version: version, Channels: channels}
	}
	repotest.Add(t, r, kr, "one", item("orbit", "linux", "1.0", "stable"))
	p := repotest.Load(t, r)
	target, _, err := p.Targets.Get("orbit/linux/stable/orbit")
	if err != nil {
		t.Fatal(err)
	}
	content := repo.Content{SHA512: target.SHA512, Length: target.Length}
	for name, it := range map[string]meta.Item{
		"name in another case":     item("Orbit", "linux", "1.0"),
		"platform in another case": item("orbit", "Linux", "1.1"),
		"channel in another case":  item("orbit", "linux", "1.1", "Stable"),
		"two channels of one item": item("other", "linux", "1.1", "edge", "EDGE"),
		"extension":                item("extensions/Con", "linux", "1.1"),
		"device":                   item("con", "linux", "1.1"),
		"device with an ending":    item("orbit", "linux", "NUL.1"),
		"port":                     item("orbit", "linux", "1.1", "lpt1"),
		"colon":                    item("a:b", "linux", "1.1"),
		"star":                     item("orbit", "linux", "1.*"),
		"dot at the end":           item("orbit", "linux", "1.1."),
	} {
		_, err := edit.Add(r, p, nil, []edit.StagedItem{{Item: it, Content: content}}, repo.StageOptions{})
		var ne *meta.NameError
		if !errors.As(err, &ne) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := p.Targets.UnportableNames(); len(got) > 0 {
		t.Errorf("nothing is wrong with %v: %q", p.Targets.Paths(), got)
	}
	_, _, err = edit.Promote(r, p, nil, edit.Promotion{Version: "1.0", From: "stable", To: []string{"STABLE"}}, repo.StageOptions{})
	var ne *meta.NameError
	if !errors.As(err, &ne) || !strings.Contains(ne.Error(), "differs only in case") {
		t.Errorf("promoted: %v", err)
	}
	// The same again, and names that only look like it, are fine.
	repotest.Add(t, r, kr, "two", item("orbit", "linux", "1.1", "stable", "console", "com10", "v1.con"))
}
