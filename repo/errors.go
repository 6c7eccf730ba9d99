package repo

import (
	"errors"
	"fmt"
	"time"
)

// Causes, for errors.Is.
var (
	// ErrNoRepository: there is no root.json where one is needed.
	ErrNoRepository = errors.New("no repository here")
	// ErrExists: init on a folder that holds a repository or keys.
	ErrExists = errors.New("exists already")
	// ErrNothingStaged: a command that needs a staged change found none.
	ErrNothingStaged = errors.New("nothing is staged")
	// ErrContent: a target file that cannot be published.
	ErrContent = errors.New("file cannot be published")
	// ErrLocked: another process kept the lock.
	ErrLocked = errors.New("another process holds the lock")
)

// ContentError says which file cannot be published, and why.
type ContentError struct {
	Path   string
	Reason string
	Err    error // may be nil
}

func (e *ContentError) Error() string {
	s := fmt.Sprintf("target file %q: %s", e.Path, e.Reason)
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *ContentError) Unwrap() error { return e.Err }

// Is makes errors.Is(err, ErrContent) hold.
func (e *ContentError) Is(target error) bool { return target == ErrContent }

// InterruptedError: a commit has begun to publish and could not go on. The next
// command that takes the lock finishes it, without any key.
type InterruptedError struct{ Err error }

func (e *InterruptedError) Error() string {
	return fmt.Sprintf("publishing was interrupted half way: %v", e.Err)
}

func (e *InterruptedError) Unwrap() error { return e.Err }

// LockedError: the lock was not free in time.
type LockedError struct {
	Path   string
	Waited time.Duration
	// Holder is what the holder wrote of itself, such as "add (process 4711)".
	Holder string
}

func (e *LockedError) Error() string {
	by := ""
	if e.Holder != "" {
		by = " by " + e.Holder
	}
	return fmt.Sprintf("%q is held%s; gave up after %s", e.Path, by, e.Waited)
}

// Is makes errors.Is(err, ErrLocked) hold.
func (e *LockedError) Is(target error) bool { return target == ErrLocked }
