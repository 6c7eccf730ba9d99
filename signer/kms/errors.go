package kms

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fleet-hsm/fleet-hsm/internal/wiresig"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

// ProgramError says which plug-in cannot be started, and why. It matches signer.ErrConfig.
type ProgramError struct {
	Program string // its path, or its name if it was found nowhere
	// Code is stable: "program-missing", "program-folder", "program-writable",
	// "program-not-file", "program-not-executable", "program-start".
	Code   string
	Reason string
	Err    error // what the system said; may be nil
}

func (e *ProgramError) Error() string {
	s := fmt.Sprintf("KMS plug-in %q: %s", e.Program, e.Reason)
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *ProgramError) Unwrap() error { return e.Err }

// Is makes errors.Is(err, signer.ErrConfig) hold.
func (e *ProgramError) Is(target error) bool { return target == signer.ErrConfig }

// DeadlineError: a plug-in gave no answer in time and was ended. It is not
// signer.ErrDeadline, which is a device that only a new process may reach again.
type DeadlineError struct {
	Program, Method string
	After           time.Duration
}

func (e *DeadlineError) Error() string {
	return fmt.Sprintf("%s did not answer %s within %s and was ended", e.Program, e.Method, e.After.Round(time.Millisecond))
}

// AnswerError: what a plug-in wrote is no answer.
type AnswerError struct {
	Program, Method string
	Reason          string
}

func (e *AnswerError) Error() string {
	return fmt.Sprintf("the answer of %s to %s %s", e.Program, e.Method, e.Reason)
}

// Is makes errors.Is(err, signer.ErrDevice) hold.
func (e *AnswerError) Is(target error) bool { return target == signer.ErrDevice }

// Class is why a service refuses, where the plug-in says it in words of this protocol.
type Class string

// The classes. A plug-in begins its errorMessage with one of them and ": ".
const (
	Unclassified Class = ""
	Denied       Class = "denied"      // these credentials may not use the key
	Expired      Class = "expired"     // the credentials have expired, or there are none
	Throttled    Class = "throttled"   // too many requests; later
	Unreachable  Class = "unreachable" // the service does not answer
	NotFound     Class = "not-found"   // there is no such key
	Disabled     Class = "disabled"    // the key is there and signs nothing: disabled, or about to be deleted
)

// classes are those that a text may begin with.
func classes() []Class {
	return []Class{Denied, Expired, Throttled, Unreachable, NotFound, Disabled}
}

// RefusedError: a plug-in answered with an error message.
type RefusedError struct {
	Program, Method string
	Class           Class
	// Text is the message, cut; the words of the plug-in's author or of the service.
	Text string
	// Withheld are the variables that the plug-in did not get, because they may hold a
	// secret and nothing says that it is meant for it.
	Withheld []string
}

// maxText is how much of a message is repeated, in bytes.
const maxText = 500

func refused(program, method, message string, withheld []string) *RefusedError {
	e := &RefusedError{Program: program, Method: method, Text: cut(strings.TrimSpace(message), maxText), Withheld: withheld}
	if word, _, ok := strings.Cut(e.Text, ": "); ok && slices.Contains(classes(), Class(word)) {
		e.Class = Class(word)
	}
	return e
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("%s refuses %s: %q", e.Program, e.Method, e.Text)
}

// Is makes errors.Is hold with signer.ErrKeyNotFound for a key that is not there, with
// signer.ErrMaybeAbsent where the plug-in does not tell why it shows no public key, and
// with signer.ErrDevice otherwise.
func (e *RefusedError) Is(target error) bool {
	switch {
	case e.Class == NotFound:
		return target == signer.ErrKeyNotFound
	case e.Class == Unclassified && e.Method == methodPublicKey && target == signer.ErrMaybeAbsent:
		return true
	}
	return target == signer.ErrDevice
}

// SignatureError: what came for a signature is none of the pinned key, or in no form that
// agents accept. It matches signer.ErrBadSignature.
type SignatureError struct {
	Program string
	Reason  string
}

func (e *SignatureError) Error() string {
	return fmt.Sprintf("the signature of %s %s", e.Program, e.Reason)
}

// Is makes errors.Is(err, signer.ErrBadSignature) hold.
func (e *SignatureError) Is(target error) bool { return target == wiresig.ErrBadSignature }

// cut shortens a text of others.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}
