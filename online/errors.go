package online

import (
	"errors"
	"fmt"
	"time"
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

// RollbackError: a snapshot, or the targets it names, is older than what was in force.
type RollbackError struct {
	Role      string
	Have, Got int64
}

func (e *RollbackError) Error() string {
	return fmt.Sprintf("%s goes back from version %d to %d", e.Role, e.Have, e.Got)
}

// Is makes errors.Is(err, ErrRollback) hold.
func (e *RollbackError) Is(target error) bool { return target == ErrRollback }

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

// Cause names an error's kind for a metric: "expired", "unverified", "rollback",
// "clock", "shorter", "no-key", "sign", "store" or "other".
func Cause(err error) string {
	for _, c := range []struct {
		err  error
		name string
	}{
		{ErrExpired, "expired"}, {ErrUnverified, "unverified"}, {ErrRollback, "rollback"}, {ErrClock, "clock"},
		{ErrShorter, "shorter"}, {ErrNoKey, "no-key"}, {ErrSign, "sign"}, {ErrStore, "store"},
	} {
		if errors.Is(err, c.err) {
			return c.name
		}
	}
	return "other"
}
