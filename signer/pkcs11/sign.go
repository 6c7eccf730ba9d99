//go:build cgo

package pkcs11

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"

	p11 "github.com/miekg/pkcs11"

	"github.com/fleet-hsm/fleet-hsm/internal/wiresig"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

// mechanism is one way to have a signature made, and what it is given.
type mechanism struct {
	name      string
	number    uint
	parameter []byte
	// whole: the token hashes. Otherwise it gets the SHA-256 of the message, 32 bytes,
	// which is the length of P-256's order and so never needs cutting.
	whole bool
}

// mechanisms lists how a kind of key may sign, the best known first. Modules differ in
// what they have and in what they list, so the list is tried, not asked for.
func mechanisms(pub crypto.PublicKey) []mechanism {
	switch pub.(type) {
	case *ecdsa.PublicKey:
		return []mechanism{{"CKM_ECDSA", p11.CKM_ECDSA, nil, false}, {"CKM_ECDSA_SHA256", p11.CKM_ECDSA_SHA256, nil, true}}
	case *rsa.PublicKey:
		return []mechanism{
			{"CKM_RSA_PKCS_PSS", p11.CKM_RSA_PKCS_PSS, pss(), false},
			{"CKM_SHA256_RSA_PKCS_PSS", p11.CKM_SHA256_RSA_PKCS_PSS, pss(), true},
		}
	case ed25519.PublicKey:
		return []mechanism{{"CKM_EDDSA", ckmEDDSA, nil, true}}
	}
	return nil
}

// pss is RSA-PSS over SHA-256 with MGF1 over SHA-256 and a salt of 32 bytes.
func pss() []byte { return p11.NewPSSParams(p11.CKM_SHA256, p11.CKG_MGF1_SHA256, sha256.Size) }

// Sign implements signer.Signer.
func (k *key) Sign(ctx context.Context, message []byte) ([]byte, error) {
	sig, err := k.sign(ctx, message)
	if err != nil {
		return nil, k.failed("signing with key", err)
	}
	return sig, nil
}

func (k *key) sign(ctx context.Context, message []byte) ([]byte, error) {
	if k.closed.Load() {
		return nil, errClosed
	}
	if err := canceled(ctx); err != nil {
		return nil, err
	}
	sig, err := k.verified(ctx, message)
	var bad badSignatureError
	if errors.As(err, &bad) {
		return nil, k.afterBadSignature(ctx, bad.err)
	}
	return sig, err
}

// badSignatureError: what the token returned is no signature of our key.
type badSignatureError struct{ err error }

func (e badSignatureError) Error() string { return e.err.Error() }
func (e badSignatureError) Unwrap() error { return e.err }

// verified has the token sign, with reconnects as they are needed, and verifies. A
// signature that was made but did not arrive is made again: it is never returned
// twice, and signing twice harms nobody.
func (k *key) verified(ctx context.Context, message []byte) ([]byte, error) {
	var sig []byte
	err := k.t.do(ctx, func(c *conn) error {
		h, err := k.handle(ctx, c)
		if err != nil {
			return err
		}
		sig, err = k.onToken(ctx, c, h, message)
		if !wantsUser(codeOf(err)) || c.loggedIn.Load() || h.alwaysAuth {
			return err
		}
		if err := k.t.loginAfterAll(ctx, c, k.who, true, err); err != nil {
			return err
		}
		sig, err = k.onToken(ctx, c, h, message)
		return err
	})
	return sig, err
}

// wantsUser: the answer may come of a login that is missing.
func wantsUser(code uint) bool {
	switch code {
	case ckrUserNotLoggedIn, ckrActionProhibited, ckrGeneralError, ckrFunctionFailed:
		return true
	}
	return code != ckrOK && vendorDefined(code)
}

// onToken tries the mechanisms that the key's algorithm has, from the one that worked last.
func (k *key) onToken(ctx context.Context, c *conn, h keyHandle, message []byte) ([]byte, error) {
	all := k.mechanismsOnce()
	digest := sha256.Sum256(message)
	var first error
	for i := int(k.works.Load()); i < len(all); i++ {
		data := digest[:]
		if all[i].whole {
			data = message
		}
		sig, err := k.once(ctx, c, h, all[i], message, data)
		if err == nil {
			k.works.Store(int32(i))
			return sig, nil
		}
		if first == nil {
			first = err
		}
		if !lacksMechanism(err) {
			return nil, tooLong(err, all[i], len(message))
		}
	}
	return nil, &signer.UnsupportedError{
		What: fmt.Sprintf("signing with %s", all[0].name), Why: first.Error(),
	}
}

// mechanismsOnce is mechanisms of the key, made once.
func (k *key) mechanismsOnce() []mechanism {
	if list := k.mechanisms.Load(); list != nil {
		return *list
	}
	list := mechanisms(k.Public())
	k.mechanisms.Store(&list)
	return list
}

// lacksMechanism: another mechanism may do.
func lacksMechanism(err error) bool {
	switch codeOf(err) {
	case ckrMechanismInvalid, ckrMechanismParamInvalid, ckrFunctionNotSupported,
		ckrKeyTypeInconsistent, ckrKeyFunctionNotPermitted, ckrArgumentsBad:
		return true
	}
	return false
}

// tooLong names the limit of a token that must see the whole message.
func tooLong(err error, m mechanism, length int) error {
	code := codeOf(err)
	if m.whole && (code == ckrDataLenRange || code == ckrDataInvalid || code == ckrDeviceMemory) {
		return &signer.UnsupportedError{
			What: fmt.Sprintf("signing a message of %d bytes", length),
			Why:  fmt.Sprintf("the token must take the whole message with %s and has a limit: %v", m.name, err),
		}
	}
	return err
}

// once makes one attempt on one session. data is what the token gets of message.
func (k *key) once(ctx context.Context, c *conn, h keyHandle, m mechanism, message, data []byte) ([]byte, error) {
	var signature []byte
	limit := k.t.opts.timeout()
	if h.alwaysAuth && onPad(c.slot.info) {
		limit *= slowFactor
		if k.who.ui != nil {
			defer k.who.ui.Touch(ctx, signer.TouchRequest{Device: c.slot.name(), Roles: k.who.roles, PINPad: true})()
		}
	}
	pin, err := k.contextPIN(ctx, c, h)
	if err != nil {
		return nil, err
	}
	if len(data) == 0 {
		data = make([]byte, 0, 1) // which has an address: some modules refuse NULL
	}
	r := signRequest{key: h.h, mechanism: m.number, parameter: m.parameter, context: h.alwaysAuth, pin: pin, data: data}
	err = c.onSession(ctx, "signing", limit, func(l lib, s p11.SessionHandle) (clean bool, err error) {
		defer clear(r.pin)
		signature, err = l.sign(s, r)
		// After an error between C_SignInit and C_Sign the operation stays active: such a
		// session is closed. C_SignInit itself leaves nothing when it fails.
		return err == nil || failedIn(err, "C_SignInit"), err
	})
	if h.alwaysAuth {
		err = k.judgeContext(ctx, c, err)
	}
	if err != nil {
		return nil, err // signature may belong to a call that has not returned
	}
	return k.wire(signature, message)
}

func failedIn(err error, function string) bool {
	var e *CKRError
	return errors.As(err, &e) && e.Func == function
}

// contextPIN gives a copy of the PIN for a key with CKA_ALWAYS_AUTHENTICATE, which
// wants it for every signature; nil for other keys and for a device with its own pad.
func (k *key) contextPIN(ctx context.Context, c *conn, h keyHandle) ([]byte, error) {
	if !h.alwaysAuth || onPad(c.slot.info) {
		return nil, nil
	}
	t := k.t
	if err := t.loggingIn.take(ctx); err != nil {
		return nil, err
	}
	defer t.loggingIn.give()
	info, err := t.mayOffer(ctx, c, k.who)
	if err != nil {
		return nil, err
	}
	if err := t.obtainPIN(ctx, c, info, k.who, true); err != nil {
		return nil, err
	}
	return append([]byte(nil), t.pin...), nil
}

// judgeContext keeps a PIN that the context login refused, or may have refused, from
// being tried again, and CKR_USER_NOT_LOGGED_IN from being taken for a lost login.
func (k *key) judgeContext(ctx context.Context, c *conn, err error) error {
	t := k.t
	switch {
	case err == nil, failedIn(err, "C_Sign"):
		t.contextProven.Store(true)
	case codeOf(err) != ckrOK && !failedIn(err, "C_Login"), errors.Is(err, errStale):
		return err
	}
	if codeOf(err) == ckrUserNotLoggedIn && failedIn(err, "C_Sign") {
		return permanentError{err}
	}
	if err == nil || t.contextProven.Load() && !refusesPIN(codeOf(err)) {
		return err
	}
	if lockErr := t.loggingIn.take(ctx); lockErr != nil {
		return permanentError{err}
	}
	defer t.loggingIn.give()
	switch {
	case t.refused != nil:
		return t.refused.err
	case refusesPIN(codeOf(err)):
		return t.refuse(t.pinError(ctx, c, err))
	}
	return t.refuse(unprovenPINError{err})
}

// wire turns what the token returned into the form that stands in TUF metadata. What it
// means, the verification decides.
func (k *key) wire(raw, message []byte) ([]byte, error) {
	bad := fmt.Errorf("%w: it has %d bytes", signer.ErrBadSignature, len(raw))
	for i, sig := range wireForms(k.Public(), raw) {
		err := wiresig.Verify(k.Public(), message, sig)
		if err == nil {
			return sig, nil
		}
		if i == 0 {
			bad = err
		}
	}
	return nil, badSignatureError{bad}
}

// afterBadSignature finds out whether another key has taken the place of ours, as
// happens where a token replaces keys under their handles.
func (k *key) afterBadSignature(ctx context.Context, bad error) error {
	err := k.t.do(ctx, func(c *conn) error {
		c.mu.Lock()
		delete(c.keys, k.name)
		c.mu.Unlock()
		_, err := k.find(ctx, c, false)
		return err
	})
	if errors.Is(err, signer.ErrKeyChanged) {
		return err
	}
	return fmt.Errorf("%w: the token's signature was thrown away", bad)
}
