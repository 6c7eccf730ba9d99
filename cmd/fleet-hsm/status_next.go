package main

import (
	"fmt"
	"time"

	"github.com/fleet-hsm/fleet-hsm/config"
	"github.com/fleet-hsm/fleet-hsm/repo"
)

// step is something to do next: a command as it can be typed, and why.
type step struct {
	Command string `json:"command"`
	Why     string `json:"why"`
}

// expiryWarnings names the roles that expire soon, by the configuration's measure.
func (res *statusResult) expiryWarnings(cfg *config.Config, now time.Time) []string {
	var out []string
	for _, rs := range res.Roles {
		switch left := rs.Expires.Sub(now); {
		case left <= 0:
			out = append(out, fmt.Sprintf("%s v%d expired %s; agents refuse it", rs.Role, rs.Version, config.DaysUntil(rs.Expires)))
		case left < cfg.Early(rs.Role):
			out = append(out, fmt.Sprintf("%s v%d expires in %s", rs.Role, rs.Version, config.DaysUntil(rs.Expires)))
		}
	}
	return out
}

// next names the next steps, the most pressing first.
func (w *work) next(res *statusResult) []step {
	var out []step
	if res != nil && res.Interrupted {
		out = append(out, step{"fleet-hsm timestamp", "a commit was interrupted; any command that writes finishes it"})
	}
	out = append(out, w.nextStaged()...)
	if res == nil {
		return out
	}
	out = append(nextStanding(res.standing), out...)
	if w.Published.NeedsTargets() {
		out = append(out, w.nextMended()...)
	}
	out = append(out, res.nextExpiries(w.Config, w.Repo.Now())...)
	if w.Published.AwaitsTimestamp() && !hasCommand(out, "fleet-hsm timestamp") {
		out = append(out, step{"fleet-hsm timestamp", "a newer snapshot waits for a timestamp that names it"})
	}
	if len(res.Leftovers) > 0 && !repo.StagedRoot(res.Leftovers) {
		out = append(out, step{"fleet-hsm discard", "clears what fleetctl left behind when it failed"})
	}
	return out
}

func (w *work) nextStaged() []step {
	if w.Staged == nil {
		return nil
	}
	var out []step
	for _, d := range w.Staged.Docs() {
		if err := w.Keys.Short(d); err != nil && !hasCommand(out, "fleet-hsm sign") {
			out = append(out, step{"fleet-hsm sign", err.Error()})
		}
	}
	if w.Staged.Met() {
		out = append(out, step{"fleet-hsm commit", "the staged change has all its signatures"})
	}
	return out
}

func hasCommand(list []step, command string) bool {
	for _, s := range list {
		if s.Command == command {
			return true
		}
	}
	return false
}

// nextExpiries names the command that renews what expires soon. A renewal of targets
// signs snapshot and timestamp too, one of snapshot is one of targets.
func (res *statusResult) nextExpiries(cfg *config.Config, now time.Time) []step {
	var out []step
	for _, rs := range res.Roles {
		left := rs.Expires.Sub(now)
		if left >= cfg.Early(rs.Role) {
			continue
		}
		why := fmt.Sprintf("%s v%d expires in %s", rs.Role, rs.Version, config.DaysUntil(rs.Expires))
		if left <= 0 {
			why = fmt.Sprintf("%s v%d expired %s", rs.Role, rs.Version, config.DaysUntil(rs.Expires))
		}
		command := "fleet-hsm timestamp"
		switch rs.Role {
		case repo.RoleRoot:
			command = "fleet-hsm rotate root --renew"
		case repo.RoleTargets, repo.RoleSnapshot:
			command = "fleet-hsm rotate targets --renew"
		}
		if rs.Role == repo.RoleTimestamp && hasCommand(out, "fleet-hsm rotate targets --renew") {
			continue
		}
		if !hasCommand(out, command) {
			out = append(out, step{command, why})
		}
	}
	return out
}
