package store

import (
	"errors"
	"fmt"
)

// Causes, for errors.Is.
var (
	// ErrNoStore: the folder or bucket itself is not there.
	ErrNoStore = errors.New("store does not exist")
	// ErrPrecondition: another writer was first.
	ErrPrecondition = errors.New("changed by another writer meanwhile")
	// ErrTooLarge: a file is longer than it may be.
	ErrTooLarge = errors.New("larger than allowed")
	// ErrNoCredentials: a bucket was to be written and no source had credentials.
	ErrNoCredentials = errors.New("no credentials found")
	// ErrCredentials: the store does not know the credentials, or no longer.
	ErrCredentials = errors.New("credentials refused")
	// ErrRegion: the bucket is in another region than the request says.
	ErrRegion = errors.New("wrong region")
	// ErrClock: the store refuses requests of this machine's time.
	ErrClock = errors.New("this machine's clock is too far from the store's")
	// ErrUnsupported: the store cannot do this, for example conditional writes.
	ErrUnsupported = errors.New("not supported by this store")
	// ErrBadURL: see URLError.
	ErrBadURL = errors.New("not a store URL")
	// ErrBadName: a name that no store may be asked for.
	ErrBadName = errors.New("not a valid file name")
	// ErrAhead: the store holds a higher version; see AheadError.
	ErrAhead = errors.New("the store is ahead")
	// ErrDiverged: the store holds another history; see DivergedError.
	ErrDiverged = errors.New("the store holds something else")
	// ErrStaleTimestamp: see StaleTimestampError.
	ErrStaleTimestamp = errors.New("timestamp is not newer than the published one")
	// ErrUncovered: no timestamp over the newest snapshot has been signed here.
	ErrUncovered = errors.New("no timestamp covers the newest snapshot")
	// ErrInconsistent: files that belong together do not fit; see MismatchError.
	ErrInconsistent = errors.New("metadata does not fit together")
	// ErrContentMissing: see ContentMissingError.
	ErrContentMissing = errors.New("content is missing")
	// ErrLayout: asked for something that only consistent snapshots can give.
	ErrLayout = errors.New("needs a repository with consistent snapshots")
	// ErrReadBack: the store does not serve what was written to it.
	ErrReadBack = errors.New("the store does not serve what was published")
	// ErrRollback: see RollbackError.
	ErrRollback = errors.New("the store is behind this repository")
)

// OpError is a failed operation on one file.
type OpError struct {
	Op    string // "reading", "writing", "deleting", "listing", "looking at"
	Name  string
	Store string // canonical URL
	Err   error
}

func (e *OpError) Error() string {
	return fmt.Sprintf("%s %q in %q: %v", e.Op, e.Name, e.Store, e.Err)
}

func (e *OpError) Unwrap() error { return e.Err }

// URLError is a store URL that was refused.
type URLError struct {
	// URL is what was given, without any user information and query.
	URL string
	Why string
}

func (e *URLError) Error() string { return fmt.Sprintf("store URL %q: %s", e.URL, e.Why) }

// Is makes errors.Is(err, ErrBadURL) hold.
func (e *URLError) Is(target error) bool { return target == ErrBadURL }

// AheadError: the store's version of a role is higher than the one to be published.
type AheadError struct {
	Role          string
	Local, Remote int64
}

func (e *AheadError) Error() string {
	return fmt.Sprintf("the store has %s version %d, this repository %d", e.Role, e.Remote, e.Local)
}

// Is makes errors.Is(err, ErrAhead) hold.
func (e *AheadError) Is(target error) bool { return target == ErrAhead }

// DivergedError: the store has a version that this repository knows with other bytes,
// or not at all.
type DivergedError struct {
	Role    string
	Version int64
	// Unknown: this repository never held or published that version; otherwise it
	// holds it with other bytes.
	Unknown bool
}

func (e *DivergedError) Error() string {
	if e.Unknown {
		return fmt.Sprintf("%s version %d in the store was not made from this repository", e.Role, e.Version)
	}
	return fmt.Sprintf("%s version %d in the store differs from this repository's", e.Role, e.Version)
}

// Is makes errors.Is(err, ErrDiverged) hold.
func (e *DivergedError) Is(target error) bool { return target == ErrDiverged }

// StaleTimestampError: there is something new to publish, and the timestamp that names
// it is not above the one in the store (which was signed elsewhere, for example by the
// online signer). Clients would refuse it as a rollback.
type StaleTimestampError struct {
	Local, Remote int64
	// Timestamp is the store's, as it was read.
	Timestamp []byte
}

func (e *StaleTimestampError) Error() string {
	return fmt.Sprintf("the store has timestamp version %d, this repository's is %d and must be above it", e.Remote, e.Local)
}

// Is makes errors.Is(err, ErrStaleTimestamp) hold.
func (e *StaleTimestampError) Is(target error) bool { return target == ErrStaleTimestamp }

// MismatchError: a file is not the one that another file names.
type MismatchError struct {
	// Where is the folder or the store's URL.
	Where string
	// Name is the file, By the one that names it ("" if it is wrong by itself).
	Name, By string
	Why      string
}

func (e *MismatchError) Error() string {
	by := ""
	if e.By != "" {
		by = fmt.Sprintf(" as %q names it", e.By)
	}
	return fmt.Sprintf("%q in %q is not valid%s: %s", e.Name, e.Where, by, e.Why)
}

// Is makes errors.Is(err, ErrInconsistent) hold.
func (e *MismatchError) Is(target error) bool { return target == ErrInconsistent }

// ContentMissingError: files that metadata names are neither here nor in the store.
type ContentMissingError struct {
	Names []string // at least one
}

func (e *ContentMissingError) Error() string {
	more := ""
	if n := len(e.Names) - 1; n > 0 {
		more = fmt.Sprintf(" and %d more", n)
	}
	return fmt.Sprintf("content %q%s is neither in this repository nor in the store", e.Names[0], more)
}

// Is makes errors.Is(err, ErrContentMissing) hold.
func (e *ContentMissingError) Is(target error) bool { return target == ErrContentMissing }

// RollbackError: the store's version of a role is lower than the one here.
type RollbackError struct {
	Role          string
	Local, Remote int64
}

func (e *RollbackError) Error() string {
	return fmt.Sprintf("this repository has %s version %d, the store only %d", e.Role, e.Local, e.Remote)
}

// Is makes errors.Is(err, ErrRollback) hold.
func (e *RollbackError) Is(target error) bool { return target == ErrRollback }
