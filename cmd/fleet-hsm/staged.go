package main

import (
	"errors"
	"time"

	"github.com/fleet-hsm/fleet-hsm/repo"
)

// stagedError is an error after which a change is staged: the way on is to sign or commit
// that change. The command that made it would stack a second one on it, with new keys.
type stagedError struct {
	err  error
	next string // the command that goes on with the change: sign or commit
}

func (e *stagedError) Error() string { return e.err.Error() }
func (e *stagedError) Unwrap() error { return e.err }

const againSame = "run the command again"

// again says how to try once more what failed.
func again(err error) string {
	var e *stagedError
	if errors.As(err, &e) {
		return `go on with "fleet-hsm ` + e.next + `"`
	}
	return againSame
}

// stagingOf finds which command staged an intent, as far as the staged change says it.
func stagingOf(list []repo.Staging, intent string) (repo.Staging, bool) {
	for _, s := range list {
		if s.Intent == intent {
			return s, true
		}
	}
	return repo.Staging{}, false
}

func stagedAt(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }
