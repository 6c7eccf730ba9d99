//go:build cgo || windows

package piv

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/go-piv/piv-go/v2/piv"

	"github.com/fleet-hsm/fleet-hsm/internal/pcsc"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

// causeError names the kind of a piv-go error, and keeps the error.
type causeError struct {
	cause error // one of signer's
	err   error
}

func (e *causeError) Error() string   { return fmt.Sprintf("%v: %v", e.cause, e.err) }
func (e *causeError) Unwrap() []error { return []error{e.cause, e.err} }

// PC/SC return codes (pcsclite.h; the same numbers on every system).
const (
	codeTimeout        = 0x8010000A
	codeSharing        = 0x8010000B
	codeNoSmartcard    = 0x8010000C
	codeUnknownReader  = 0x80100009
	codeProtoMismatch  = 0x8010000F
	codeNotTransacted  = 0x80100016
	codeReaderUnavail  = 0x80100017
	codeNoService      = 0x8010001D
	codeServiceStopped = 0x8010001E
	codeNoReaders      = 0x8010002E
	codeResetCard      = 0x80100068
	codeRemovedCard    = 0x80100069
	codeInvalidHandle  = 0x80100003
	// codeSecurity: pcscd's polkit rules refuse this user, and it hangs up. A daemon that
	// dies at this moment hangs up too, and is not there when it is asked again.
	codeSecurity = 0x8010006A
)

// Status words of the card (NIST SP 800-73-4, part 2).
const (
	statusWrongLength  = 0x6700
	statusWrongP1P2    = 0x6A86
	statusNotSatisfied = 0x6982
	statusBlocked      = 0x6983
	statusConditions   = 0x6985
	statusWrongData    = 0x6A80
	statusNoFunction   = 0x6A81
	statusNoObject     = 0x6A82
	statusNoReference  = 0x6A88
	statusUnknownINS   = 0x6D00
)

// pcscCode digs the PC/SC return code out of an error, 0 if there is none.
// piv-go v2.6.0 keeps type and field to itself; the texts would be the only other
// way. TestPCSCCode holds this to the version in go.mod.
func pcscCode(err error) uint32 {
	var ours *pcsc.Error
	if errors.As(err, &ours) {
		return ours.Code
	}
	for ; err != nil; err = errors.Unwrap(err) {
		v := reflect.ValueOf(err)
		if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
			continue
		}
		if rc := v.Elem().FieldByName("rc"); rc.Kind() == reflect.Int64 {
			return uint32(rc.Int())
		}
	}
	return 0
}

// status is the card's answer behind an error, 0 if the card did not answer.
func status(err error) uint16 {
	var s interface{ Status() uint16 }
	if errors.As(err, &s) {
		return s.Status()
	}
	return 0
}

// isLocal reports whether piv-go itself refused, without card or daemon.
func isLocal(err error) bool { return err != nil && status(err) == 0 && pcscCode(err) == 0 }

// classify wraps an error of piv-go with its kind; an error that has one stays.
func classify(err error) error {
	if err == nil || typed(err) {
		return err
	}
	cause := causeOf(err)
	if cause == nil {
		return &signer.UnsupportedError{What: "this card", Why: "it speaks the T=0 protocol only"}
	}
	return &causeError{cause: cause, err: err}
}

func typed(err error) bool {
	for _, cause := range []error{
		errAskAgain, errStopped, errClosed, errNeedKey, signer.ErrPINTooSimple, signer.ErrManagement, signer.ErrDenied, signer.ErrNoTerminal,
		signer.ErrNoToken, signer.ErrUnreachable, signer.ErrAmbiguous, signer.ErrKeyNotFound, signer.ErrKeyChanged,
		signer.ErrKeyExists, signer.ErrPINIncorrect, signer.ErrPINLocked, signer.ErrPINInvalid, signer.ErrNoSecret,
		signer.ErrTouchTimeout, signer.ErrBusy, signer.ErrDevice, signer.ErrDeadline, signer.ErrUnsupported,
		signer.ErrBadSignature, signer.ErrCanceled, signer.ErrNotSetUp, signer.ErrAlreadySetUp, signer.ErrAttestation,
	} {
		if errors.Is(err, cause) {
			return true
		}
	}
	return false
}

func causeOf(err error) error {
	switch pcscCode(err) {
	case codeSharing:
		return signer.ErrBusy
	case codeNoSmartcard, codeUnknownReader, codeReaderUnavail, codeNoReaders, codeRemovedCard, codeNotTransacted:
		return signer.ErrNoToken
	case codeSecurity:
		return signer.ErrDenied
	case codeNoService, codeServiceStopped:
		return signer.ErrUnreachable
	case codeTimeout:
		return signer.ErrDeadline
	case codeProtoMismatch:
		return nil
	}
	return signer.ErrDevice
}

// triesIn gives the tries left that an error of a PIN or PUK command tells, and
// whether it is one.
func triesIn(err error) (int, bool) {
	var auth piv.AuthErr
	if errors.As(err, &auth) {
		return auth.Retries, true
	}
	return 0, false
}
