package signer

import (
	"errors"
	"fmt"
	"strings"

	"github.com/fleet-hsm/fleet-hsm/internal/wiresig"
)

// Causes, for errors.Is. The types below say more and match these.
var (
	ErrNoToken      = errors.New("token or card not present")
	ErrUnreachable  = errors.New("device cannot be reached")
	ErrDenied       = errors.New("the system does not let this user reach the device")
	ErrAmbiguous    = errors.New("more than one match")
	ErrKeyNotFound  = errors.New("key not found")
	ErrMaybeAbsent  = errors.New("the key could not be read, perhaps because it is not there")
	ErrKeyChanged   = errors.New("not the key that was expected")
	ErrKeyExists    = errors.New("a key is there already")
	ErrPINIncorrect = errors.New("wrong PIN")
	ErrPINLocked    = errors.New("PIN is blocked")
	ErrPINInvalid   = errors.New("PIN of a length or form that the device does not take")
	ErrPINTooSimple = errors.New("PIN or PUK refused by a policy on complexity")
	ErrPINNotSet    = errors.New("no user PIN is set")
	ErrLastTry      = errors.New("one try left; it is not used without a person saying so")
	ErrPassphrase   = errors.New("wrong passphrase")
	ErrNoSecret     = errors.New("no source for a secret")
	ErrNoTerminal   = errors.New("no terminal to ask on")
	ErrTouchTimeout = errors.New("touch timed out")
	ErrBusy         = errors.New("device is in use by another program")
	ErrDevice       = errors.New("device error")
	ErrDeadline     = errors.New("device did not answer in time")
	ErrUnsupported  = errors.New("not supported")
	ErrAttestation  = errors.New("attestation does not verify")
	ErrBadSignature = wiresig.ErrBadSignature
	ErrCanceled     = errors.New("canceled")
	ErrFileMode     = errors.New("file can be read by others")
	ErrNotSetUp     = errors.New("device is not set up")
	ErrManagement   = errors.New("the management key is not known")
	ErrAlreadySetUp = errors.New("device is set up already")
	ErrConfig       = errors.New("module or library cannot be used")
	ErrNotConfirmed = errors.New("not confirmed; nothing was signed")
	ErrNotStarted   = errors.New("module does not start")
	ErrNotNamed     = errors.New("nothing names a module or service on this machine")
)

// KeyError wraps a cause with the key it happened to.
type KeyError struct {
	// Op is what was being done: "opening key", "signing with key".
	Op    string
	URI   URI
	Token string // label of the token or card, "" if unknown
	Err   error
}

func (e *KeyError) Error() string {
	where := ""
	if e.Token != "" {
		where = fmt.Sprintf(" on %s", e.Token)
	}
	return fmt.Sprintf("%s %q%s: %v", e.Op, e.URI.String(), where, e.Err)
}

func (e *KeyError) Unwrap() error { return e.Err }

// PINError is a wrong PIN, with what is left.
type PINError struct {
	// Left is the number of tries left, -1 where the device does not tell.
	Left int
	// Answer is what the device said in its own terms, for whoever reads its log; may be "".
	Answer string
	Err    error // the device's own error; may be nil
}

func (e *PINError) Error() string {
	if e.Answer == "" {
		return e.text()
	}
	return fmt.Sprintf("%s (%s)", e.text(), e.Answer)
}

func (e *PINError) text() string {
	switch {
	case e.Left < 0:
		return "wrong PIN"
	case e.Left == 0:
		return "wrong PIN; it is blocked now"
	case e.Left == 1:
		return "wrong PIN, 1 try left"
	}
	return fmt.Sprintf("wrong PIN, %d tries left", e.Left)
}

func (e *PINError) Unwrap() error { return e.Err }

// Is makes errors.Is(err, ErrPINIncorrect) hold, and ErrPINLocked when none is left.
func (e *PINError) Is(target error) bool {
	return target == ErrPINIncorrect || target == ErrPINLocked && e.Left == 0
}

// KeyChangedError: under the URI there is another key than the one root names.
type KeyChangedError struct {
	URI URI
	// Want and Have describe the public keys by fingerprint (SHA-256 of SPKI, hex).
	Want, Have string
}

func (e *KeyChangedError) Error() string {
	return fmt.Sprintf("%q holds another key than expected: fingerprint %.16s, expected %.16s", e.URI.String(), e.Have, e.Want)
}

// Is makes errors.Is(err, ErrKeyChanged) hold.
func (e *KeyChangedError) Is(target error) bool { return target == ErrKeyChanged }

// AmbiguousError lists what matched where one was wanted.
type AmbiguousError struct {
	What       string // "token", "private key", "card"
	URI        URI
	Candidates []string
}

func (e *AmbiguousError) Error() string {
	return fmt.Sprintf("%d %ss match %q: %s", len(e.Candidates), e.What, e.URI.String(), strings.Join(e.Candidates, "; "))
}

// Is makes errors.Is(err, ErrAmbiguous) hold.
func (e *AmbiguousError) Is(target error) bool { return target == ErrAmbiguous }

// NotFoundError says what is absent and what is there instead.
type NotFoundError struct {
	What    string // "token", "key", "card"
	URI     URI
	Present []string // what is there
	// Cause is ErrNoToken, ErrUnreachable or ErrKeyNotFound.
	Cause error
}

func (e *NotFoundError) Error() string {
	there := "nothing is there"
	if len(e.Present) > 0 {
		there = "present: " + strings.Join(e.Present, "; ")
	}
	return fmt.Sprintf("no %s matches %q (%s)", e.What, e.URI.String(), there)
}

// Unwrap gives the cause.
func (e *NotFoundError) Unwrap() error { return e.Cause }

// NoSecretError: no source had the secret and nobody can be asked.
type NoSecretError struct {
	Kind   SecretKind
	Device string
	// Tried names the sources that were looked at, such as "$FLEET_ROOT_PIN".
	Tried []string
	Err   error // a source that could not be read; nil if there was none
}

func (e *NoSecretError) Error() string {
	s := fmt.Sprintf("no %s for %s", e.Kind, e.Device)
	if e.Err != nil {
		return s + ": " + e.Err.Error()
	}
	return s
}

func (e *NoSecretError) Unwrap() error { return e.Err }

// Is makes errors.Is(err, ErrNoSecret) hold.
func (e *NoSecretError) Is(target error) bool { return target == ErrNoSecret }

// UnsupportedError: the key, module or card cannot do this.
type UnsupportedError struct {
	What string
	Why  string
	// Option is the field of GenerateOptions that is most likely refused, by which a person
	// gets further: Algorithm, PINPolicy, TouchPolicy; NoOption if nobody can tell.
	Option Option
}

// Option names a choice that a person has when a key is made.
type Option int

// The options.
const (
	NoOption Option = iota
	OptionAlgorithm
	OptionPINPolicy
	OptionTouchPolicy
)

// PartialError: what was to be done in several steps was done in part. It is the error of
// the step that failed, and says what is changed by now.
type PartialError struct {
	// Done are the things that are changed, such as "PUK"; Maybe is one that may be.
	Done  []string
	Maybe string
	Err   error
}

func (e *PartialError) Error() string {
	s := e.Err.Error()
	switch n := len(e.Done); {
	case n == 1:
		s += "; its " + e.Done[0] + " is changed"
	case n > 1:
		s += "; its " + strings.Join(e.Done[:n-1], ", ") + " and " + e.Done[n-1] + " are changed"
	}
	if e.Maybe != "" {
		s += "; its " + e.Maybe + " may be changed or not"
	}
	return s
}

func (e *PartialError) Unwrap() error { return e.Err }

func (e *UnsupportedError) Error() string { return e.What + " not supported: " + e.Why }

// Is makes errors.Is(err, ErrUnsupported) hold.
func (e *UnsupportedError) Is(target error) bool { return target == ErrUnsupported }

// FileModeError: a secret file or its folder is readable by others.
type FileModeError struct {
	Path string
	Mode uint32 // permission bits found
	Want uint32
	// Fixed: its file system gives every file this mode, whatever is asked of it.
	Fixed bool
	// Who may use it besides its owner, where access lists say that and not modes (Windows).
	Who string
}

func (e *FileModeError) Error() string {
	if e.Who != "" {
		return fmt.Sprintf("%q can be used by %s; it must be its owner's alone", e.Path, e.Who)
	}
	if e.Fixed {
		return fmt.Sprintf("%q is on a file system that gives every file the mode of its mount, here %04o, which others can use; it must be %04o", e.Path, e.Mode, e.Want)
	}
	return fmt.Sprintf("%q has mode %04o, which others can use; it must be %04o", e.Path, e.Mode, e.Want)
}

// Is makes errors.Is(err, ErrFileMode) hold.
func (e *FileModeError) Is(target error) bool { return target == ErrFileMode }

// GenerateError: a device does not make a key in the way in which it was asked to.
type GenerateError struct {
	Algorithm Algorithm
	// Wants says what the device lacks, refuses or wants: "it has no mechanism for them".
	Wants string
	Err   error // the device's own error; may be nil
}

func (e *GenerateError) Error() string {
	s := fmt.Sprintf("the token makes no %s key: %s", e.Algorithm, e.Wants)
	if e.Err != nil {
		s += fmt.Sprintf(": %v", e.Err)
	}
	return s
}

func (e *GenerateError) Unwrap() error { return e.Err }

// Is makes errors.Is(err, ErrUnsupported) hold.
func (e *GenerateError) Is(target error) bool { return target == ErrUnsupported }
