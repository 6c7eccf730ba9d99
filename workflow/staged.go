package workflow

import (
	"time"

	"github.com/fleet-hsm/fleet-hsm/repo"
)

// StagedError is an error after which a change is staged: the way on is to sign or commit
// that change. The command that made it would stack a second one on it, with new keys.
type StagedError struct {
	Err  error
	Next string // the command that goes on with the change: sign or commit
}

func (e *StagedError) Error() string { return e.Err.Error() }
func (e *StagedError) Unwrap() error { return e.Err }

// StagingOf finds which command staged an intent, as far as the staged change says it.
func StagingOf(list []repo.Staging, intent string) (repo.Staging, bool) {
	for _, s := range list {
		if s.Intent == intent {
			return s, true
		}
	}
	return repo.Staging{}, false
}

// StagedAt writes when something was staged.
func StagedAt(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }
