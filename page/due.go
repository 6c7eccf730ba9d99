package page

import (
	"fmt"
	"slices"
	"time"

	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// horizon is how far the timeline looks ahead, and drillEvery how often every key should be
// plugged in and tried.
const (
	horizon    = 400 * 24 * time.Hour
	drillEvery = 180 * 24 * time.Hour
)

// dueView is something that is due on a day.
type dueView struct {
	At      time.Time
	State   string // "ok", "warn" or "bad", or "drill"
	Text    string
	In      string
	Percent int // of the horizon
}

func dueOf(in Input) ([]dueView, time.Time) {
	until := in.Now.Add(horizon)
	var out []dueView
	add := func(at time.Time, state, text string) {
		if at.After(until) {
			return
		}
		shown := at
		if shown.Before(in.Now) {
			shown = in.Now
		}
		out = append(out, dueView{at, state, text, inDays(at.Sub(in.Now)), int(100 * shown.Sub(in.Now) / horizon)})
	}
	for _, r := range in.Roles {
		if renew := r.Expires.Add(-r.Early); renew.After(in.Now) {
			add(renew, "warn", fmt.Sprintf("renew %s v%d: %s", r.Role, r.Version, who(r.Role, r.Threshold)))
		}
		add(r.Expires, "bad", fmt.Sprintf("%s v%d expires", r.Role, r.Version))
	}
	for at := in.Now.Add(drillEvery); at.Before(until); at = at.Add(drillEvery) {
		add(at, "drill", "drill: plug in every key and try it (fleet-hsm doctor --sign)")
	}
	slices.SortStableFunc(out, func(a, b dueView) int { return a.At.Compare(b.At) })
	return out, until
}

func who(role string, threshold int) string {
	if role == meta.RoleTimestamp {
		return "the unattended signer does, or fleet-hsm timestamp"
	}
	if threshold == 1 {
		return "one key signs"
	}
	return fmt.Sprintf("%d keys sign", threshold)
}

func inDays(d time.Duration) string {
	days := int(d.Hours() / 24)
	switch {
	case d < 0:
		return fmt.Sprintf("%d days ago", -days)
	case days == 0:
		return "today"
	case days == 1:
		return "tomorrow"
	}
	return fmt.Sprintf("in %d days", days)
}
