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

// meaning is a code of the standard's, and what it means here.
type meaning struct {
	code        uint
	name, words string
	cause       error
	// transient: a new session, a new login, or C_Finalize and C_Initialize may mend it.
	transient bool
}

// The codes that code here looks at. The binding has them too, but only where there
// is cgo.
const (
	ckrOK                        = 0x00
	ckrCancel                    = 0x01
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
	ckrTemplateIncomplete        = 0xD0
	ckrTemplateInconsistent      = 0xD1
	ckrTokenNotPresent           = 0xE0
	ckrUserAlreadyLoggedIn       = 0x100
	ckrUserNotLoggedIn           = 0x101
	ckrUserPINNotInitialized     = 0x102
	ckrUserTypeInvalid           = 0x103
	ckrUserAnotherLoggedIn       = 0x104
	ckrDomainParamsInvalid       = 0x130
	ckrCurveNotSupported         = 0x140
	ckrBufferTooSmall            = 0x150
	ckrCryptokiNotInitialized    = 0x190
	ckrCryptokiAlreadyInitialize = 0x191
	ckrVendorDefined             = 0x80000000
)

// meaningless is said of codes that nothing here should meet; they are named so that a
// search for them finds something.
const meaningless = "the module refused, for a reason that has nothing to do with signing"

// standardCodes is every code that the standard names (PKCS#11 v3.1, pkcs11t.h). Nothing
// that a wrong PIN causes is transient: a PIN is tried once.
func standardCodes() []meaning {
	return []meaning{
		{0x00, "CKR_OK", "no error", nil, false},
		{0x01, "CKR_CANCEL", "it was canceled on the device", signer.ErrCanceled, false},
		{0x02, "CKR_HOST_MEMORY", "the module has no memory, or its daemon does not run", signer.ErrDevice, true},
		{0x03, "CKR_SLOT_ID_INVALID", "the slot is gone", signer.ErrNoToken, true},
		{0x05, "CKR_GENERAL_ERROR", "the module failed and gives no reason; its configuration, its files or its daemon are the usual ones", signer.ErrDevice, true},
		{0x06, "CKR_FUNCTION_FAILED", "the token could not do it and gives no reason", signer.ErrDevice, true},
		{0x07, "CKR_ARGUMENTS_BAD", "the module does not take these arguments", signer.ErrDevice, false},
		{0x08, "CKR_NO_EVENT", meaningless, signer.ErrDevice, false},
		{0x09, "CKR_NEED_TO_CREATE_THREADS", "the module wants threads of its own", signer.ErrDevice, false},
		{0x0A, "CKR_CANT_LOCK", "the module has no locks for several threads", signer.ErrDevice, false},
		{0x10, "CKR_ATTRIBUTE_READ_ONLY", "the token does not let this attribute be set", signer.ErrUnsupported, false},
		{0x11, "CKR_ATTRIBUTE_SENSITIVE", "the token keeps this attribute to itself", nil, false},
		{0x12, "CKR_ATTRIBUTE_TYPE_INVALID", "the token does not know this attribute", signer.ErrUnsupported, false},
		{0x13, "CKR_ATTRIBUTE_VALUE_INVALID", "the token does not take this value of an attribute", signer.ErrUnsupported, false},
		{0x1B, "CKR_ACTION_PROHIBITED", "the token's policy forbids this", signer.ErrUnsupported, false},
		{0x20, "CKR_DATA_INVALID", "the token does not take this data", signer.ErrUnsupported, false},
		{0x21, "CKR_DATA_LEN_RANGE", "the token does not take data of this length", signer.ErrUnsupported, false},
		{0x30, "CKR_DEVICE_ERROR", "the token or the connection to it failed", signer.ErrDevice, true},
		{0x31, "CKR_DEVICE_MEMORY", "the token is full", signer.ErrDevice, false},
		{0x32, "CKR_DEVICE_REMOVED", "the token was taken out", signer.ErrNoToken, true},
		{0x40, "CKR_ENCRYPTED_DATA_INVALID", meaningless, signer.ErrDevice, false},
		{0x41, "CKR_ENCRYPTED_DATA_LEN_RANGE", meaningless, signer.ErrDevice, false},
		{0x50, "CKR_FUNCTION_CANCELED", "it was canceled on the device", signer.ErrCanceled, false},
		{0x51, "CKR_FUNCTION_NOT_PARALLEL", meaningless, signer.ErrDevice, false},
		{0x54, "CKR_FUNCTION_NOT_SUPPORTED", "the module cannot do this", signer.ErrUnsupported, false},
		{0x60, "CKR_KEY_HANDLE_INVALID", "the key is gone", signer.ErrDevice, true},
		{0x62, "CKR_KEY_SIZE_RANGE", "the token does not take keys of this size", signer.ErrUnsupported, false},
		{0x63, "CKR_KEY_TYPE_INCONSISTENT", "the key is of another kind than the mechanism", signer.ErrUnsupported, false},
		{0x64, "CKR_KEY_NOT_NEEDED", meaningless, signer.ErrDevice, false},
		{0x65, "CKR_KEY_CHANGED", meaningless, signer.ErrDevice, false},
		{0x66, "CKR_KEY_NEEDED", meaningless, signer.ErrDevice, false},
		{0x67, "CKR_KEY_INDIGESTIBLE", meaningless, signer.ErrDevice, false},
		{0x68, "CKR_KEY_FUNCTION_NOT_PERMITTED", "the key was not made for signing", signer.ErrUnsupported, false},
		{0x69, "CKR_KEY_NOT_WRAPPABLE", meaningless, signer.ErrDevice, false},
		{0x6A, "CKR_KEY_UNEXTRACTABLE", meaningless, signer.ErrDevice, false},
		{0x70, "CKR_MECHANISM_INVALID", "the token does not have this mechanism", signer.ErrUnsupported, false},
		{0x71, "CKR_MECHANISM_PARAM_INVALID", "the token does not take these parameters of the mechanism", signer.ErrUnsupported, false},
		{0x82, "CKR_OBJECT_HANDLE_INVALID", "the key is gone, as after a restart of the HSM", signer.ErrDevice, true},
		{0x90, "CKR_OPERATION_ACTIVE", "another operation is under way in the session", signer.ErrDevice, true},
		{0x91, "CKR_OPERATION_NOT_INITIALIZED", "the operation was lost", signer.ErrDevice, true},
		{0xA0, "CKR_PIN_INCORRECT", "the PIN is wrong", signer.ErrPINIncorrect, false},
		{0xA1, "CKR_PIN_INVALID", "the PIN has characters that the token does not take", signer.ErrPINInvalid, false},
		{0xA2, "CKR_PIN_LEN_RANGE", "the PIN is too short or too long for the token", signer.ErrPINInvalid, false},
		{0xA3, "CKR_PIN_EXPIRED", "the PIN must be changed before the token takes it", signer.ErrPINInvalid, false},
		{0xA4, "CKR_PIN_LOCKED", "the PIN is blocked", signer.ErrPINLocked, false},
		{0xB0, "CKR_SESSION_CLOSED", "the session was closed, as after a restart of the HSM", signer.ErrDevice, true},
		{0xB1, "CKR_SESSION_COUNT", "the token has no free session; another program holds them", signer.ErrBusy, false},
		{0xB3, "CKR_SESSION_HANDLE_INVALID", "the session is gone, as after a restart of the HSM", signer.ErrDevice, true},
		{0xB4, "CKR_SESSION_PARALLEL_NOT_SUPPORTED", "the module does not open such sessions", signer.ErrDevice, false},
		{0xB5, "CKR_SESSION_READ_ONLY", "the session may not write", signer.ErrDevice, false},
		{0xB6, "CKR_SESSION_EXISTS", "a session is open on the token", signer.ErrBusy, false},
		{0xB7, "CKR_SESSION_READ_ONLY_EXISTS", "another session reads the token, so the security officer cannot log in", signer.ErrBusy, false},
		{0xB8, "CKR_SESSION_READ_WRITE_SO_EXISTS", "the security officer is logged in", signer.ErrBusy, false},
		{0xC0, "CKR_SIGNATURE_INVALID", meaningless, signer.ErrDevice, false},
		{0xC1, "CKR_SIGNATURE_LEN_RANGE", meaningless, signer.ErrDevice, false},
		{0xD0, "CKR_TEMPLATE_INCOMPLETE", "the token wants more attributes for a new key", signer.ErrUnsupported, false},
		{0xD1, "CKR_TEMPLATE_INCONSISTENT", "the token does not take these attributes together", signer.ErrUnsupported, false},
		{0xE0, "CKR_TOKEN_NOT_PRESENT", "there is no token in the slot", signer.ErrNoToken, true},
		{0xE1, "CKR_TOKEN_NOT_RECOGNIZED", "the module cannot read the token in the slot", signer.ErrDevice, true},
		{0xE2, "CKR_TOKEN_WRITE_PROTECTED", "the token is write-protected", signer.ErrUnsupported, false},
		{0x100, "CKR_USER_ALREADY_LOGGED_IN", "this process is logged in already", nil, false},
		{0x101, "CKR_USER_NOT_LOGGED_IN", "the token wants a login first", signer.ErrDevice, true},
		{0x102, "CKR_USER_PIN_NOT_INITIALIZED", "the token has no user PIN yet", signer.ErrPINNotSet, true},
		{0x103, "CKR_USER_TYPE_INVALID", "the token does not know this kind of user", signer.ErrUnsupported, false},
		{0x104, "CKR_USER_ANOTHER_ALREADY_LOGGED_IN", "another user, such as the security officer, is logged in", signer.ErrBusy, false},
		{0x105, "CKR_USER_TOO_MANY_TYPES", "the token takes no more users at once", signer.ErrBusy, false},
		{0x120, "CKR_RANDOM_SEED_NOT_SUPPORTED", meaningless, signer.ErrDevice, false},
		{0x121, "CKR_RANDOM_NO_RNG", "the token has no random generator", signer.ErrUnsupported, false},
		{0x130, "CKR_DOMAIN_PARAMS_INVALID", "the token does not take this curve", signer.ErrUnsupported, false},
		{0x140, "CKR_CURVE_NOT_SUPPORTED", "the token does not have this curve", signer.ErrUnsupported, false},
		{0x150, "CKR_BUFFER_TOO_SMALL", "the module did not keep to its own length", signer.ErrDevice, true},
		{0x160, "CKR_SAVED_STATE_INVALID", meaningless, signer.ErrDevice, false},
		{0x170, "CKR_INFORMATION_SENSITIVE", meaningless, signer.ErrDevice, false},
		{0x180, "CKR_STATE_UNSAVEABLE", meaningless, signer.ErrDevice, false},
		{0x190, "CKR_CRYPTOKI_NOT_INITIALIZED", "the module was shut down under us", signer.ErrDevice, true},
		{0x191, "CKR_CRYPTOKI_ALREADY_INITIALIZED", "something else in this process uses the module", signer.ErrBusy, false},
		{0x1A0, "CKR_MUTEX_BAD", meaningless, signer.ErrDevice, false},
		{0x1A1, "CKR_MUTEX_NOT_LOCKED", meaningless, signer.ErrDevice, false},
		{0x1B7, "CKR_LIBRARY_LOAD_FAILED", meaningless, signer.ErrDevice, false},
		{0x1B8, "CKR_PIN_TOO_WEAK", meaningless, signer.ErrDevice, false},
		{0x1B9, "CKR_PUBLIC_KEY_INVALID", meaningless, signer.ErrDevice, false},
		{0x200, "CKR_FUNCTION_REJECTED", "a person refused on the device", signer.ErrCanceled, false},
		{0x201, "CKR_TOKEN_RESOURCE_EXCEEDED", "the token has no room or time left for this", signer.ErrBusy, false},
		{0x202, "CKR_OPERATION_CANCEL_FAILED", meaningless, signer.ErrDevice, false},
		{0x203, "CKR_KEY_EXHAUSTED", meaningless, signer.ErrDevice, false},
	}
}

// standard gives the meaning of a code that the standard names.
func standard(code uint) (meaning, bool) {
	for _, m := range standardCodes() {
		if m.code == code {
			return m, true
		}
	}
	return meaning{}, false
}

// vendorDefined reports a code that the standard does not name. What it means, only the
// module's maker knows: a connection to the HSM that is gone, or anything else.
func vendorDefined(code uint) bool {
	_, named := standard(code)
	return !named
}

func meaningOf(code uint) meaning {
	m, ok := standard(code)
	switch {
	case ok:
		return m
	case code == ^uint(0):
		return meaning{code, "-1", "the module could not make the call, and the standard has no such code; a connection that is gone is the usual cause", signer.ErrUnreachable, false}
	case code&ckrVendorDefined != 0:
		return meaning{code, "CKR_VENDOR_DEFINED", "the module's maker defined this error; its manual or log knows more", signer.ErrDevice, false}
	}
	return meaning{code, "an unknown code", "the module answered with a code that the standard does not name", signer.ErrDevice, false}
}
