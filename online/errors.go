package online

import (
	"errors"
	"fmt"
	"time"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
)

// Causes, for errors.Is.
var (
	// ErrExpired: see ExpiredError.
	ErrExpired = errors.New("expired")
	// ErrUnverified: see UnverifiedError.
	ErrUnverified = errors.New("does not verify")
	// ErrRollback: see RollbackError.
	ErrRollback = errors.New("version goes back")
	// ErrClock: see ClockError.
	ErrClock = errors.New("clock cannot be trusted")
	// ErrShorter: see ShorterError.
	ErrShorter = errors.New("would expire before the published one")
	// ErrNoKey: none of the configured keys is one of the timestamp role.
	ErrNoKey = errors.New("no configured key is one that root names for timestamp")
	// ErrSign: see SignError.
	ErrSign = errors.New("signing failed")
	// ErrStore: see StoreError.
	ErrStore = errors.New("store failed")
	// ErrDiverged: see DivergedError.
	ErrDiverged = errors.New("other bytes at the same version")
	// ErrLapsed: see LapsedError.
	ErrLapsed = errors.New("expired timestamp may not be the newest")
	// ErrState: see StateError.
	ErrState = errors.New("state file failed")
	// ErrOtherRepository: the state file is not of the repository whose root is trusted.
	ErrOtherRepository = errors.New("it belongs to another repository than the trusted root")
	// ErrConfig: a Config that cannot work.
	ErrConfig = errors.New("configuration cannot work")
)

// ExpiredError: metadata that a timestamp would stand on has expired.
type ExpiredError struct {
	Role    string
	Version int64
	Expires time.Time
}

func (e *ExpiredError) Error() string {
	return fmt.Sprintf("%s version %d expired on %s; its timestamp is not renewed", e.Role, e.Version, e.Expires.UTC().Format(time.RFC3339))
}

// Is makes errors.Is(err, ErrExpired) hold.
func (e *ExpiredError) Is(target error) bool { return target == ErrExpired }

// UnverifiedError: a published file is not one that an agent would accept.
type UnverifiedError struct {
	Role string
	Name string // file in the store
	Err  error
}

func (e *UnverifiedError) Error() string { return fmt.Sprintf("%q does not verify: %v", e.Name, e.Err) }

func (e *UnverifiedError) Unwrap() error { return e.Err }

// Is makes errors.Is(err, ErrUnverified) hold.
func (e *UnverifiedError) Is(target error) bool { return target == ErrUnverified }

// RollbackError: what the store shows is older than what was in force.
type RollbackError struct {
	Role string
	// Got is 0 if there is nothing any more.
	Have, Got int64
	// Retired: it is signed by keys that root no longer names, and one by the present
	// keys was in force.
	Retired bool
}

func (e *RollbackError) Error() string {
	switch {
	case e.Retired:
		return fmt.Sprintf("%s goes back to one that retired keys signed; version %d by the present keys was in force", e.Role, e.Have)
	case e.Got == 0:
		return fmt.Sprintf("%s is gone; version %d was in force", e.Role, e.Have)
	}
	return fmt.Sprintf("%s goes back from version %d to %d", e.Role, e.Have, e.Got)
}

// Is makes errors.Is(err, ErrRollback) hold.
func (e *RollbackError) Is(target error) bool { return target == ErrRollback }

// DivergedError: a file has other bytes than it had at the same version before.
type DivergedError struct {
	Role    string
	Version int64
}

func (e *DivergedError) Error() string {
	return fmt.Sprintf("%s version %d is not the file that it was before", e.Role, e.Version)
}

// Is makes errors.Is(err, ErrDiverged) hold.
func (e *DivergedError) Is(target error) bool { return target == ErrDiverged }

// LapsedError: the published timestamp has expired, and nothing here tells that it is the
// newest: an older state may have been put back.
type LapsedError struct {
	Version int64
	Expires time.Time
}

func (e *LapsedError) Error() string {
	return fmt.Sprintf("timestamp version %d expired on %s, and nothing remembers it as the newest", e.Version, e.Expires.UTC().Format(time.RFC3339))
}

// Is makes errors.Is(err, ErrLapsed) hold.
func (e *LapsedError) Is(target error) bool { return target == ErrLapsed }

// StateError: the state file cannot be read, written or used.
type StateError struct {
	File string
	Err  error
}

func (e *StateError) Error() string { return fmt.Sprintf("state file %q: %v", e.File, e.Err) }

func (e *StateError) Unwrap() error { return e.Err }

// Is makes errors.Is(err, ErrState) hold.
func (e *StateError) Is(target error) bool { return target == ErrState }

// ClockError: this machine's clock is far from Other, the store's own clock or a time
// that this process has seen already.
type ClockError struct{ Local, Other time.Time }

func (e *ClockError) Error() string {
	return fmt.Sprintf("the clock says %s, which is %s from what it should be", e.Local.UTC().Format(time.RFC3339), e.Local.Sub(e.Other).Abs().Round(time.Second))
}

// Is makes errors.Is(err, ErrClock) hold.
func (e *ClockError) Is(target error) bool { return target == ErrClock }

// ShorterError: a timestamp made now would expire before the published one.
type ShorterError struct{ Published, New time.Time }

func (e *ShorterError) Error() string {
	return fmt.Sprintf("a new timestamp would expire on %s, before the published one (%s)", e.New.UTC().Format(time.RFC3339), e.Published.UTC().Format(time.RFC3339))
}

// Is makes errors.Is(err, ErrShorter) hold.
func (e *ShorterError) Is(target error) bool { return target == ErrShorter }

// SignError: not enough signatures could be had.
type SignError struct {
	Have, Need int
	Err        error // the errors of all keys, joined
}

func (e *SignError) Error() string {
	return fmt.Sprintf("timestamp needs %d signatures and has %d: %v", e.Need, e.Have, e.Err)
}

func (e *SignError) Unwrap() error { return e.Err }

// Is makes errors.Is(err, ErrSign) hold.
func (e *SignError) Is(target error) bool { return target == ErrSign }

// StoreError: the store did not do what it was asked.
type StoreError struct{ Err error }

func (e *StoreError) Error() string { return e.Err.Error() }

func (e *StoreError) Unwrap() error { return e.Err }

// Is makes errors.Is(err, ErrStore) hold.
func (e *StoreError) Is(target error) bool { return target == ErrStore }

// cause is an error's kind and its name for a metric.
type cause struct {
	is   func(error) bool
	name string
	// back: the store went back, or jumped.
	back bool
}

// causes, the first that fits counts.
func causes() []cause {
	is := func(target error) func(error) bool { return func(err error) bool { return errors.Is(err, target) } }
	return []cause{
		{is(ErrRollback), "rollback", true}, {is(ErrDiverged), "diverged", true}, {isVersion, "version", true}, {is(ErrLapsed), "lapsed", true},
		{is(ErrState), "state", false}, {is(ErrExpired), "expired", false}, {is(ErrUnverified), "unverified", false},
		{is(ErrClock), "clock", false}, {is(ErrShorter), "shorter", false}, {is(ErrNoKey), "no-key", false},
		{is(ErrSign), "sign", false}, {is(ErrStore), "store", false},
	}
}

func isVersion(err error) bool {
	var e *tuf.VersionError
	return errors.As(err, &e)
}

// Cause names an error's kind for a metric: "rollback", "diverged", "version", "lapsed",
// "state", "expired", "unverified", "clock", "shorter", "no-key", "sign", "store" or
// "other".
func Cause(err error) string {
	for _, c := range causes() {
		if c.is(err) {
			return c.name
		}
	}
	return "other"
}

// WentBack reports whether an error says that the store shows something older than what
// was in force, or a version that cannot be honest.
func WentBack(err error) bool {
	for _, c := range causes() {
		if c.is(err) {
			return c.back
		}
	}
	return false
}
