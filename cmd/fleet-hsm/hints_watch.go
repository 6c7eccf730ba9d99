package main

import (
	"errors"

	"github.com/fleet-hsm/fleet-hsm/watch"
)

// judgeWatch judges what the watch from outside says.
func judgeWatch(err error) (verdict, bool) {
	var found *watch.FoundError
	switch {
	case errors.As(err, &found):
		switch found.Gravest() {
		case watch.ExpiresSoon:
			return verdict{exitExpires, "expires-soon", `"fleet-hsm status" in the repository names the command that renews it`}, true
		case watch.Unreachable, watch.NoTranscript:
			return verdict{exitRefused, "unreachable", "the others were looked at; try again, and look at the network and at the file that is named"}, true
		}
		return verdict{exitUnverified, "found", `docs/watch.md says for each kind what it means and what to do first`}, true
	case errors.Is(err, watch.ErrOtherRepository):
		return verdict{exitUsage, "state", "name another file with --state; each repository has its own"}, true
	case as[*watch.StateError](err):
		return verdict{exitRefused, "state", "--state FILE names a place that can be written; a damaged file may be moved away: the watch begins anew then, and knows no earlier version"}, true
	}
	return verdict{}, false
}
