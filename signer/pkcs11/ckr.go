package pkcs11

import (
	"errors"
	"fmt"

	"github.com/fleet-hsm/fleet-hsm/signer"
)

// CKRError is an answer of a PKCS#11 module other than CKR_OK.
type CKRError struct {
	Code uint   // the CK_RV (PKCS#11 v3.1, section 5.1)
	Func string // the function that answered, such as "C_Login"
}

// Name is the code's name in the standard, or "CKR_VENDOR_DEFINED" and the like.
func (e *CKRError) Name() string { return meaningOf(e.Code).name }

// Meaning says in plain words what the code means here.
func (e *CKRError) Meaning() string { return meaningOf(e.Code).words }

func (e *CKRError) Error() string { return fmt.Sprintf("%s (%s)", e.Meaning(), e.answer()) }

func (e *CKRError) answer() string {
	return fmt.Sprintf("%s answered %s, 0x%x", e.Func, e.Name(), e.Code)
}

// answerIn gives the module's answer in err, without what it means.
func answerIn(err error) string {
	var e *CKRError
	if errors.As(err, &e) {
		return e.answer()
	}
	return ""
}

// Is joins the code to the causes of package signer.
func (e *CKRError) Is(target error) bool {
	m := meaningOf(e.Code)
	return m.cause != nil && target == m.cause
}

// codeOf gives the CKR code in err, or ckrOK where a module had no part in it.
func codeOf(err error) uint {
	var e *CKRError
	if errors.As(err, &e) {
		return e.Code
	}
	return ckrOK
}

type meaning struct {
	name, words string
	cause       error
	// transient: the ladder session, login, Finalize and Initialize may heal it.
	transient bool
}

// The codes that code here looks at. The binding has them too, but only where there
// is cgo.
const (
	ckrOK                        = 0x00
	ckrCancel                    = 0x01
	ckrHostMemory                = 0x02
	ckrSlotIDInvalid             = 0x03
	ckrGeneralError              = 0x05
	ckrFunctionFailed            = 0x06
	ckrArgumentsBad              = 0x07
	ckrNeedToCreateThreads       = 0x09
	ckrCantLock                  = 0x0A
	ckrAttributeReadOnly         = 0x10
	ckrAttributeSensitive        = 0x11
	ckrAttributeTypeInvalid      = 0x12
	ckrAttributeValueInvalid     = 0x13
	ckrActionProhibited          = 0x1B
	ckrDataInvalid               = 0x20
	ckrDataLenRange              = 0x21
	ckrDeviceError               = 0x30
	ckrDeviceMemory              = 0x31
	ckrDeviceRemoved             = 0x32
	ckrFunctionCanceled          = 0x50
	ckrFunctionNotSupported      = 0x54
	ckrKeyHandleInvalid          = 0x60
	ckrKeySizeRange              = 0x62
	ckrKeyTypeInconsistent       = 0x63
	ckrKeyFunctionNotPermitted   = 0x68
	ckrMechanismInvalid          = 0x70
	ckrMechanismParamInvalid     = 0x71
	ckrObjectHandleInvalid       = 0x82
	ckrOperationActive           = 0x90
	ckrOperationNotInitialized   = 0x91
	ckrPINIncorrect              = 0xA0
	ckrPINInvalid                = 0xA1
	ckrPINLenRange               = 0xA2
	ckrPINExpired                = 0xA3
	ckrPINLocked                 = 0xA4
	ckrSessionClosed             = 0xB0
	ckrSessionCount              = 0xB1
	ckrSessionHandleInvalid      = 0xB3
	ckrSessionParallelNotSup     = 0xB4
	ckrSessionReadOnly           = 0xB5
	ckrSessionExists             = 0xB6
	ckrSessionReadOnlyExists     = 0xB7
	ckrSessionReadWriteSOExists  = 0xB8
	ckrTemplateIncomplete        = 0xD0
	ckrTemplateInconsistent      = 0xD1
	ckrTokenNotPresent           = 0xE0
	ckrTokenNotRecognized        = 0xE1
	ckrTokenWriteProtected       = 0xE2
	ckrUserAlreadyLoggedIn       = 0x100
	ckrUserNotLoggedIn           = 0x101
	ckrUserPINNotInitialized     = 0x102
	ckrUserTypeInvalid           = 0x103
	ckrUserAnotherLoggedIn       = 0x104
	ckrUserTooManyTypes          = 0x105
	ckrRandomNoRNG               = 0x121
	ckrDomainParamsInvalid       = 0x130
	ckrCurveNotSupported         = 0x140
	ckrBufferTooSmall            = 0x150
	ckrCryptokiNotInitialized    = 0x190
	ckrCryptokiAlreadyInitialize = 0x191
	ckrFunctionRejected          = 0x200
	ckrTokenResourceExceeded     = 0x201
	ckrVendorDefined             = 0x80000000
)

// madeUp reports a code that the standard does not name. What it means, only the
// module's maker knows: a connection to the HSM that is gone, or anything else.
func madeUp(code uint) bool {
	_, named := named(code)
	return !named
}

// named gives the meaning of a code of the standard's. These are switches, not maps:
// there is nothing to change at run time.
func named(code uint) (meaning, bool) {
	for _, of := range []func(uint) (meaning, bool){meaningOfDevice, meaningOfLogin, meaningOfObject} {
		if m, ok := of(code); ok {
			return m, true
		}
	}
	name := nameOf(code)
	return meaning{name, "the module refused, for a reason that has nothing to do with signing", signer.ErrDevice, false}, name != ""
}

func meaningOf(code uint) meaning {
	if m, ok := named(code); ok {
		return m
	}
	if code == ^uint(0) {
		return meaning{"-1", "the module could not make the call, and the standard has no such code; a connection that is gone is the usual cause", signer.ErrUnreachable, false}
	}
	if code&ckrVendorDefined != 0 {
		return meaning{"CKR_VENDOR_DEFINED", "the module's maker defined this error; its manual or log knows more", signer.ErrDevice, false}
	}
	return meaning{"an unknown code", "the module answered with a code that the standard does not name", signer.ErrDevice, false}
}

// meaningOfDevice covers the module, its slots and its sessions.
func meaningOfDevice(code uint) (meaning, bool) {
	switch code {
	case ckrOK:
		return meaning{"CKR_OK", "no error", nil, false}, true
	case ckrCancel, ckrFunctionCanceled:
		return meaning{"CKR_FUNCTION_CANCELED", "it was canceled on the device", signer.ErrCanceled, false}, true
	case ckrHostMemory:
		return meaning{"CKR_HOST_MEMORY", "the module has no memory, or its daemon does not run", signer.ErrDevice, true}, true
	case ckrSlotIDInvalid:
		return meaning{"CKR_SLOT_ID_INVALID", "the slot is gone", signer.ErrNoToken, true}, true
	case ckrGeneralError:
		return meaning{"CKR_GENERAL_ERROR", "the module failed and gives no reason; its configuration, its files or its daemon are the usual ones", signer.ErrDevice, true}, true
	case ckrFunctionFailed:
		return meaning{"CKR_FUNCTION_FAILED", "the token could not do it and gives no reason", signer.ErrDevice, true}, true
	case ckrNeedToCreateThreads:
		return meaning{"CKR_NEED_TO_CREATE_THREADS", "the module wants threads of its own", signer.ErrDevice, false}, true
	case ckrCantLock:
		return meaning{"CKR_CANT_LOCK", "the module has no locks for several threads", signer.ErrDevice, false}, true
	case ckrArgumentsBad:
		return meaning{"CKR_ARGUMENTS_BAD", "the module does not take these arguments", signer.ErrDevice, false}, true
	case ckrDeviceError:
		return meaning{"CKR_DEVICE_ERROR", "the token or the connection to it failed", signer.ErrDevice, true}, true
	case ckrDeviceMemory:
		return meaning{"CKR_DEVICE_MEMORY", "the token is full", signer.ErrDevice, false}, true
	case ckrDeviceRemoved:
		return meaning{"CKR_DEVICE_REMOVED", "the token was taken out", signer.ErrNoToken, true}, true
	case ckrFunctionNotSupported:
		return meaning{"CKR_FUNCTION_NOT_SUPPORTED", "the module cannot do this", signer.ErrUnsupported, false}, true
	case ckrSessionClosed:
		return meaning{"CKR_SESSION_CLOSED", "the session was closed, as after a restart of the HSM", signer.ErrDevice, true}, true
	case ckrSessionCount:
		return meaning{"CKR_SESSION_COUNT", "the token has no free session; another program holds them", signer.ErrBusy, false}, true
	case ckrSessionHandleInvalid:
		return meaning{"CKR_SESSION_HANDLE_INVALID", "the session is gone, as after a restart of the HSM", signer.ErrDevice, true}, true
	case ckrSessionParallelNotSup:
		return meaning{"CKR_SESSION_PARALLEL_NOT_SUPPORTED", "the module does not open such sessions", signer.ErrDevice, false}, true
	case ckrSessionReadOnly:
		return meaning{"CKR_SESSION_READ_ONLY", "the session may not write", signer.ErrDevice, false}, true
	case ckrSessionExists:
		return meaning{"CKR_SESSION_EXISTS", "a session is open on the token", signer.ErrBusy, false}, true
	case ckrSessionReadOnlyExists:
		return meaning{"CKR_SESSION_READ_ONLY_EXISTS", "another session reads the token, so the security officer cannot log in", signer.ErrBusy, false}, true
	case ckrSessionReadWriteSOExists:
		return meaning{"CKR_SESSION_READ_WRITE_SO_EXISTS", "the security officer is logged in", signer.ErrBusy, false}, true
	case ckrTokenNotPresent:
		return meaning{"CKR_TOKEN_NOT_PRESENT", "there is no token in the slot", signer.ErrNoToken, true}, true
	case ckrTokenNotRecognized:
		return meaning{"CKR_TOKEN_NOT_RECOGNIZED", "the module cannot read the token in the slot", signer.ErrDevice, true}, true
	case ckrTokenWriteProtected:
		return meaning{"CKR_TOKEN_WRITE_PROTECTED", "the token is write-protected", signer.ErrUnsupported, false}, true
	case ckrCryptokiNotInitialized:
		return meaning{"CKR_CRYPTOKI_NOT_INITIALIZED", "the module was shut down under us", signer.ErrDevice, true}, true
	case ckrCryptokiAlreadyInitialize:
		return meaning{"CKR_CRYPTOKI_ALREADY_INITIALIZED", "something else in this process uses the module", signer.ErrBusy, false}, true
	case ckrFunctionRejected:
		return meaning{"CKR_FUNCTION_REJECTED", "a person refused on the device", signer.ErrCanceled, false}, true
	case ckrTokenResourceExceeded:
		return meaning{"CKR_TOKEN_RESOURCE_EXCEEDED", "the token has no room or time left for this", signer.ErrBusy, false}, true
	}
	return meaning{}, false
}

// meaningOfLogin covers PINs and users. None but the two that a restart causes is
// transient: a PIN is tried once.
func meaningOfLogin(code uint) (meaning, bool) {
	switch code {
	case ckrPINIncorrect:
		return meaning{"CKR_PIN_INCORRECT", "the PIN is wrong", signer.ErrPINIncorrect, false}, true
	case ckrPINInvalid:
		return meaning{"CKR_PIN_INVALID", "the PIN has characters that the token does not take", signer.ErrPINInvalid, false}, true
	case ckrPINLenRange:
		return meaning{"CKR_PIN_LEN_RANGE", "the PIN is too short or too long for the token", signer.ErrPINInvalid, false}, true
	case ckrPINExpired:
		return meaning{"CKR_PIN_EXPIRED", "the PIN must be changed before the token takes it", signer.ErrPINInvalid, false}, true
	case ckrPINLocked:
		return meaning{"CKR_PIN_LOCKED", "the PIN is blocked", signer.ErrPINLocked, false}, true
	case ckrUserAlreadyLoggedIn:
		return meaning{"CKR_USER_ALREADY_LOGGED_IN", "this process is logged in already", nil, false}, true
	case ckrUserNotLoggedIn:
		return meaning{"CKR_USER_NOT_LOGGED_IN", "the token wants a login first", signer.ErrDevice, true}, true
	case ckrUserPINNotInitialized:
		return meaning{"CKR_USER_PIN_NOT_INITIALIZED", "the token has no user PIN yet", signer.ErrPINNotSet, true}, true
	case ckrUserTypeInvalid:
		return meaning{"CKR_USER_TYPE_INVALID", "the token does not know this kind of user", signer.ErrUnsupported, false}, true
	case ckrUserAnotherLoggedIn:
		return meaning{"CKR_USER_ANOTHER_ALREADY_LOGGED_IN", "another user, such as the security officer, is logged in", signer.ErrBusy, false}, true
	case ckrUserTooManyTypes:
		return meaning{"CKR_USER_TOO_MANY_TYPES", "the token takes no more users at once", signer.ErrBusy, false}, true
	}
	return meaning{}, false
}

// meaningOfObject covers keys, mechanisms, data and templates.
func meaningOfObject(code uint) (meaning, bool) {
	switch code {
	case ckrAttributeReadOnly:
		return meaning{"CKR_ATTRIBUTE_READ_ONLY", "the token does not let this attribute be set", signer.ErrUnsupported, false}, true
	case ckrAttributeSensitive:
		return meaning{"CKR_ATTRIBUTE_SENSITIVE", "the token keeps this attribute to itself", nil, false}, true
	case ckrAttributeTypeInvalid:
		return meaning{"CKR_ATTRIBUTE_TYPE_INVALID", "the token does not know this attribute", signer.ErrUnsupported, false}, true
	case ckrAttributeValueInvalid:
		return meaning{"CKR_ATTRIBUTE_VALUE_INVALID", "the token does not take this value of an attribute", signer.ErrUnsupported, false}, true
	case ckrActionProhibited:
		return meaning{"CKR_ACTION_PROHIBITED", "the token's policy forbids this", signer.ErrUnsupported, false}, true
	case ckrDataInvalid:
		return meaning{"CKR_DATA_INVALID", "the token does not take this data", signer.ErrUnsupported, false}, true
	case ckrDataLenRange:
		return meaning{"CKR_DATA_LEN_RANGE", "the token does not take data of this length", signer.ErrUnsupported, false}, true
	case ckrKeyHandleInvalid:
		return meaning{"CKR_KEY_HANDLE_INVALID", "the key is gone", signer.ErrDevice, true}, true
	case ckrObjectHandleInvalid:
		return meaning{"CKR_OBJECT_HANDLE_INVALID", "the key is gone, as after a restart of the HSM", signer.ErrDevice, true}, true
	case ckrKeySizeRange:
		return meaning{"CKR_KEY_SIZE_RANGE", "the token does not take keys of this size", signer.ErrUnsupported, false}, true
	case ckrKeyTypeInconsistent:
		return meaning{"CKR_KEY_TYPE_INCONSISTENT", "the key is of another kind than the mechanism", signer.ErrUnsupported, false}, true
	case ckrKeyFunctionNotPermitted:
		return meaning{"CKR_KEY_FUNCTION_NOT_PERMITTED", "the key was not made for signing", signer.ErrUnsupported, false}, true
	case ckrMechanismInvalid:
		return meaning{"CKR_MECHANISM_INVALID", "the token does not have this mechanism", signer.ErrUnsupported, false}, true
	case ckrMechanismParamInvalid:
		return meaning{"CKR_MECHANISM_PARAM_INVALID", "the token does not take these parameters of the mechanism", signer.ErrUnsupported, false}, true
	case ckrOperationActive:
		return meaning{"CKR_OPERATION_ACTIVE", "another operation is under way in the session", signer.ErrDevice, true}, true
	case ckrOperationNotInitialized:
		return meaning{"CKR_OPERATION_NOT_INITIALIZED", "the operation was lost", signer.ErrDevice, true}, true
	case ckrTemplateIncomplete:
		return meaning{"CKR_TEMPLATE_INCOMPLETE", "the token wants more attributes for a new key", signer.ErrUnsupported, false}, true
	case ckrTemplateInconsistent:
		return meaning{"CKR_TEMPLATE_INCONSISTENT", "the token does not take these attributes together", signer.ErrUnsupported, false}, true
	case ckrRandomNoRNG:
		return meaning{"CKR_RANDOM_NO_RNG", "the token has no random generator", signer.ErrUnsupported, false}, true
	case ckrDomainParamsInvalid:
		return meaning{"CKR_DOMAIN_PARAMS_INVALID", "the token does not take this curve", signer.ErrUnsupported, false}, true
	case ckrCurveNotSupported:
		return meaning{"CKR_CURVE_NOT_SUPPORTED", "the token does not have this curve", signer.ErrUnsupported, false}, true
	case ckrBufferTooSmall:
		return meaning{"CKR_BUFFER_TOO_SMALL", "the module did not keep to its own length", signer.ErrDevice, true}, true
	}
	return meaning{}, false
}

// nameOf names the codes of the standard that nothing here should meet, so that a
// search for them finds something (PKCS#11 v3.1, pkcs11t.h).
func nameOf(code uint) string {
	switch code {
	case 0x08:
		return "CKR_NO_EVENT"
	case 0x40:
		return "CKR_ENCRYPTED_DATA_INVALID"
	case 0x41:
		return "CKR_ENCRYPTED_DATA_LEN_RANGE"
	case 0x51:
		return "CKR_FUNCTION_NOT_PARALLEL"
	case 0x64:
		return "CKR_KEY_NOT_NEEDED"
	case 0x65:
		return "CKR_KEY_CHANGED"
	case 0x66:
		return "CKR_KEY_NEEDED"
	case 0x67:
		return "CKR_KEY_INDIGESTIBLE"
	case 0x69:
		return "CKR_KEY_NOT_WRAPPABLE"
	case 0x6A:
		return "CKR_KEY_UNEXTRACTABLE"
	case 0xC0:
		return "CKR_SIGNATURE_INVALID"
	case 0xC1:
		return "CKR_SIGNATURE_LEN_RANGE"
	case 0x120:
		return "CKR_RANDOM_SEED_NOT_SUPPORTED"
	case 0x160:
		return "CKR_SAVED_STATE_INVALID"
	case 0x170:
		return "CKR_INFORMATION_SENSITIVE"
	case 0x180:
		return "CKR_STATE_UNSAVEABLE"
	case 0x1A0:
		return "CKR_MUTEX_BAD"
	case 0x1A1:
		return "CKR_MUTEX_NOT_LOCKED"
	case 0x1B7:
		return "CKR_LIBRARY_LOAD_FAILED"
	case 0x1B8:
		return "CKR_PIN_TOO_WEAK"
	case 0x1B9:
		return "CKR_PUBLIC_KEY_INVALID"
	case 0x202:
		return "CKR_OPERATION_CANCEL_FAILED"
	case 0x203:
		return "CKR_KEY_EXHAUSTED"
	}
	return ""
}
