package meta

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
)

// Causes, for errors.Is.
var (
	// ErrMetadata: metadata that is malformed, too large, or does not verify.
	ErrMetadata = errors.New("metadata does not verify")
	// ErrExpired: metadata that clients refuse because its time is over.
	ErrExpired = errors.New("metadata is expired")
	// ErrName: a name, channel or platform that cannot stand in a target path.
	ErrName = errors.New("name cannot be used")
	// ErrRefused: the change is well-formed but must not be made.
	ErrRefused = errors.New("refused")
	// ErrKey: a key that deployed agents would refuse.
	ErrKey = errors.New("key cannot be used")
	// ErrShort: signatures are missing.
	ErrShort = errors.New("signatures are missing")
)

// FileError says which metadata file is not to be trusted, and why.
type FileError struct {
	File   string // as a person finds it: "repository/targets.json"
	Reason string // may be "" if there is an Err
	Err    error  // may be nil
}

func (e *FileError) Error() string {
	s := fmt.Sprintf("%q", e.File)
	if e.Reason != "" {
		s += ": " + e.Reason
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *FileError) Unwrap() error { return e.Err }

// Is makes errors.Is(err, ErrMetadata) hold.
func (e *FileError) Is(target error) bool { return target == ErrMetadata }

// ExpiredError says which role expired, and when.
type ExpiredError struct {
	Role    string
	Version int64
	Expired time.Time
	Now     time.Time
}

func (e *ExpiredError) Error() string {
	return fmt.Sprintf("%s v%d expired %s ago (%s); clients refuse it", e.Role, e.Version,
		roughly(e.Now.Sub(e.Expired)), e.Expired.UTC().Format(time.RFC3339))
}

// Is makes errors.Is(err, ErrExpired) hold.
func (e *ExpiredError) Is(target error) bool { return target == ErrExpired }

func roughly(d time.Duration) string {
	if d >= 48*time.Hour {
		return fmt.Sprintf("%d days", int(d.Hours())/24)
	}
	if d >= 2*time.Hour {
		return fmt.Sprintf("%d hours", int(d.Hours()))
	}
	return d.Round(time.Second).String()
}

// NameError says which name is refused, and why.
type NameError struct {
	What   string // "name", "platform", "channel", "version", "target path"
	Value  string
	Reason string
}

func (e *NameError) Error() string { return fmt.Sprintf("%s %q: %s", e.What, e.Value, e.Reason) }

// Is makes errors.Is(err, ErrName) hold.
func (e *NameError) Is(target error) bool { return target == ErrName }

// RefusedKind tells refusals apart, for hints.
type RefusedKind string

// The kinds of refusal.
const (
	VersionTaken    RefusedKind = "version-taken"    // published with other bytes
	ShorterExpiry   RefusedKind = "shorter-expiry"   // a clock that went back
	ChangeWaits     RefusedKind = "change-waits"     // a staged change is in the way
	PublishedMoved  RefusedKind = "published-moved"  // what it was built on is gone
	ThresholdHigh   RefusedKind = "threshold-high"   // above the number of keys
	LastKey         RefusedKind = "last-key"         // the role would have no key
	UnknownKey      RefusedKind = "unknown-key"      // not a key of the role
	DuplicateKey    RefusedKind = "duplicate-key"    // one public key twice in a role
	NoChange        RefusedKind = "no-change"        // nothing would change
	NotFound        RefusedKind = "not-found"        // nothing of that name is there
	OtherDevice     RefusedKind = "other-device"     // pending/ and repository/ on two file systems
	FlatLayout      RefusedKind = "flat-layout"      // needs consistent snapshots
	TimestampKeys   RefusedKind = "timestamp-keys"   // the new root needs a new timestamp at once
	TooLarge        RefusedKind = "too-large"        // over a client's limit
	VersionRegress  RefusedKind = "version-regress"  // at or below a published version
	MissingContent  RefusedKind = "missing-content"  // neither staged nor published
	PathTaken       RefusedKind = "path-taken"       // something that is no file stands at a path
	OtherChange     RefusedKind = "other-change"     // signatures over another change than the staged one
	ForeignChange   RefusedKind = "foreign-change"   // of another repository
	UnfinishedState RefusedKind = "unfinished-state" // init on leftovers
	WentBack        RefusedKind = "went-back"        // an older copy lies over newer files that are still here
	RootChain       RefusedKind = "root-chain"       // an N.root.json is missing or cannot be followed
	LostVersions    RefusedKind = "lost-versions"    // what was published from here is not here any more
	LostRoot        RefusedKind = "lost-root"        // a root that was published from here is not here any more
	LostFile        RefusedKind = "lost-file"        // a file of an interrupted commit is gone
	RootTwice       RefusedKind = "root-twice"       // two roots of one number were signed
	SignAbove       RefusedKind = "sign-above"       // only new targets and snapshot can be published on this
	SameFile        RefusedKind = "same-file"        // two published paths are one file
	ColdTrap        RefusedKind = "cold-trap"        // agents would stumble over a cold role
	Archived        RefusedKind = "archived"         // the version lies in a cold role
	ForeignRoles    RefusedKind = "foreign-roles"    // targets delegates to roles that another tool made
)

// RefusedError: the change must not be made in this state.
type RefusedError struct {
	Kind RefusedKind
	Text string
	// Near is the name that may have been meant, "" for none.
	Near string
}

func (e *RefusedError) Error() string { return e.Text }

// Is makes errors.Is(err, ErrRefused) hold.
func (e *RefusedError) Is(target error) bool { return target == ErrRefused }

// Refuse makes a RefusedError.
func Refuse(kind RefusedKind, format string, args ...any) error {
	return &RefusedError{Kind: kind, Text: fmt.Sprintf(format, args...)}
}

// ShortError: a role has fewer signatures than it needs.
type ShortError struct {
	Role    string
	Version int64
	Have    int
	Need    int
	Missing []Key
}

func (e *ShortError) Error() string {
	var ids []string
	for _, k := range e.Missing {
		ids = append(ids, k.ShortID())
	}
	return fmt.Sprintf("%s v%d has %d of %d signatures; keys that could still sign: %s",
		e.Role, e.Version, e.Have, e.Need, strings.Join(ids, ", "))
}

// Is makes errors.Is(err, ErrShort) hold.
func (e *ShortError) Is(target error) bool { return target == ErrShort }

// SignatureError: a signature that does not verify was offered, or found in a staged
// change, and was not kept.
type SignatureError struct {
	Role  string
	KeyID tuf.KeyID
	Err   error
}

func (e *SignatureError) Error() string {
	return fmt.Sprintf("signature of key %s over %s: %v", e.KeyID.Short(), e.Role, e.Err)
}

func (e *SignatureError) Unwrap() error { return e.Err }
