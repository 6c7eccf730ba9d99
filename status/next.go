package status

import (
	"fmt"
	"slices"
	"time"

	"github.com/fleet-hsm/fleet-hsm/config"
	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/workflow"
)

// Todo is what can be left to do.
type Todo string

// What is left to do.
const (
	FinishCommit Todo = "finish-commit" // that was interrupted; any command that writes does it
	Mend         Todo = "mend"
	Sign         Todo = "sign"
	Commit       Todo = "commit"
	Timestamp    Todo = "timestamp"
	RenewTargets Todo = "renew-targets"
	RenewRoot    Todo = "renew-root"
	Discard      Todo = "discard"
)

// Step is something to do next, and why.
type Step struct {
	Do  Todo
	Why string
}

// expiryWarnings names the roles that expire soon, by the configuration's measure.
func (r *Report) expiryWarnings(now time.Time) []string {
	var out []string
	for _, role := range r.Roles {
		switch left := role.Expires.Sub(now); {
		case left <= 0:
			out = append(out, role.expiry(left)+"; agents refuse it")
		case left < role.Early:
			out = append(out, role.expiry(left))
		}
	}
	return out
}

// expiry says when a role expires, or expired.
func (r Role) expiry(left time.Duration) string {
	if left <= 0 {
		return fmt.Sprintf("%s v%d expired %s", r.Role, r.Version, config.DaysUntil(r.Expires))
	}
	return fmt.Sprintf("%s v%d expires in %s", r.Role, r.Version, config.DaysUntil(r.Expires))
}

// steps names the next steps, the most pressing first.
func (r *Report) steps(w *workflow.Session, standing []error) []Step {
	var out []Step
	if len(standing) > 0 {
		out = append(out, Step{Mend, standing[0].Error()})
	}
	if r.Interrupted {
		out = append(out, Step{FinishCommit, "a commit was interrupted; any command that writes finishes it"})
	}
	out = append(out, stepsStaged(w)...)
	if w.Published.NeedsTargets() {
		out = append(out, AfterMending(w)...)
	}
	out = append(out, r.stepsExpiring(w.Repo.Now())...)
	if w.Published.AwaitsTimestamp() && !has(out, Timestamp) && !has(out, FinishCommit) {
		out = append(out, Step{Timestamp, "a newer snapshot waits for a timestamp that names it"})
	}
	if len(r.Leftovers) > 0 && !edit.StagedRoot(r.Leftovers) {
		out = append(out, Step{Discard, "clears what fleetctl left behind when it failed"})
	}
	return out
}

func stepsStaged(w *workflow.Session) []Step {
	if w.Staged == nil {
		return nil
	}
	var out []Step
	if err := w.Keys.ShortOf(w.Staged); err != nil {
		out = append(out, Step{Sign, err.Error()})
	}
	if w.Staged.Met() {
		out = append(out, Step{Commit, "the staged change has all its signatures"})
	}
	return out
}

func has(list []Step, do Todo) bool {
	return slices.ContainsFunc(list, func(s Step) bool { return s.Do == do })
}

// stepsExpiring names what renews that which expires soon. A renewal of targets signs
// snapshot and timestamp too, one of snapshot is one of targets.
func (r *Report) stepsExpiring(now time.Time) []Step {
	var out []Step
	for _, role := range r.Roles {
		left := role.Expires.Sub(now)
		if left >= role.Early {
			continue
		}
		do := Timestamp
		switch role.Role {
		case meta.RoleRoot:
			do = RenewRoot
		case meta.RoleTargets, meta.RoleSnapshot:
			do = RenewTargets
		}
		if has(out, do) || do == Timestamp && has(out, RenewTargets) {
			continue
		}
		out = append(out, Step{do, role.expiry(left)})
	}
	return out
}

// AfterMending names what only a key can do after a folder was put in order.
func AfterMending(w *workflow.Session) []Step {
	switch {
	case w.Published.NeedsTargets():
		return []Step{{RenewTargets, "signs targets, snapshot and timestamp above what agents have seen; add does so too"}}
	case w.Published.NeedsTimestamp():
		return []Step{{Timestamp, "signs a timestamp over the snapshot that is here"}}
	}
	return nil
}
