package status

import (
	"slices"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// report has a role that is as far from its expiry as left says, and warned of below early.
func report(now time.Time, left map[string]time.Duration) *Report {
	r := &Report{}
	for _, role := range meta.Roles() {
		l, ok := left[role]
		if !ok {
			l = 1000 * time.Hour
		}
		r.Roles = append(r.Roles, Role{Role: role, Version: 3, Expires: now.Add(l), Early: 100 * time.Hour})
	}
	return r
}

// TestStepsExpiring: what renews which role, once, and the fewest signatures that do.
func TestStepsExpiring(t *testing.T) {
	t.Parallel()
	now := time.Now()
	const soon, over = 99 * time.Hour, -time.Hour
	for name, c := range map[string]struct {
		left map[string]time.Duration
		want []Todo
	}{
		"nothing":               {nil, nil},
		"just not yet":          {map[string]time.Duration{meta.RoleTimestamp: 100 * time.Hour}, nil},
		"timestamp":             {map[string]time.Duration{meta.RoleTimestamp: soon}, []Todo{Timestamp}},
		"timestamp, over":       {map[string]time.Duration{meta.RoleTimestamp: over}, []Todo{Timestamp}},
		"root":                  {map[string]time.Duration{meta.RoleRoot: soon}, []Todo{RenewRoot}},
		"snapshot":              {map[string]time.Duration{meta.RoleSnapshot: soon}, []Todo{RenewTargets}},
		"targets and snapshot":  {map[string]time.Duration{meta.RoleTargets: soon, meta.RoleSnapshot: over}, []Todo{RenewTargets}},
		"targets and timestamp": {map[string]time.Duration{meta.RoleTargets: soon, meta.RoleTimestamp: over}, []Todo{RenewTargets}},
		"root and timestamp":    {map[string]time.Duration{meta.RoleRoot: over, meta.RoleTimestamp: over}, []Todo{RenewRoot, Timestamp}},
	} {
		var got []Todo
		r := report(now, c.left)
		for _, s := range r.stepsExpiring(now) {
			got = append(got, s.Do)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
		if n := len(r.expiryWarnings(now)); n != len(c.left) && name != "just not yet" {
			t.Errorf("%s: %d warnings", name, n)
		}
	}
}

// TestExpiryText: an expiry that is over is said so, and that agents refuse it.
func TestExpiryText(t *testing.T) {
	t.Parallel()
	now := time.Now()
	r := report(now, map[string]time.Duration{meta.RoleRoot: -25 * time.Hour, meta.RoleTimestamp: 73 * time.Hour})
	got := r.expiryWarnings(now)
	want := []string{"root v3 expired 25 hours ago; agents refuse it", "timestamp v3 expires in 3 days"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestChanged: what one version of targets changed against the one before.
func TestChanged(t *testing.T) {
	t.Parallel()
	row := func(channel, version, sum string) meta.Row {
		return meta.Row{Name: "orbit", Platform: "linux", Channel: channel, Path: "orbit/linux/" + channel + "/orbit", Version: version, SHA512: sum}
	}
	before := []meta.Row{row("stable", "1", "a"), row("edge", "2", "b"), row("old", "0", "c"), row("same", "1", "a")}
	after := []meta.Row{row("stable", "2", "b"), row("edge", "2", "x"), row("same", "1", "a"), row("new", "3", "d")}
	all := func(meta.Row) bool { return true }
	var got [][3]string
	for _, c := range changed(before, after, all) {
		got = append(got, [3]string{c.Channel, c.Before, c.After})
	}
	want := [][3]string{{"stable", "1", "2"}, {"edge", "2", "2"}, {"new", "", "3"}, {"old", "0", ""}}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if some := changed(before, after, func(r meta.Row) bool { return r.Channel == "new" }); len(some) != 1 {
		t.Errorf("narrowed to one channel: %v", some)
	}
}
