//go:build cgo

package pkcs11

import (
	"context"
	"errors"
	"fmt"
	"time"

	p11 "github.com/miekg/pkcs11"

	"github.com/fleet-hsm/fleet-hsm/signer"
)

// asker is who may be asked for a PIN, and for what.
type asker struct {
	ui    signer.UI
	uri   signer.URI
	roles []string
}

// login logs in on a connection, once per token however many keys there are. The PIN
// is asked for once, tried once, and kept for reconnecting. A token without
// CKF_LOGIN_REQUIRED needs none. confirmed says that the token showed the expected
// public key.
func (t *token) login(ctx context.Context, c *conn, who asker, confirmed bool) error {
	if c.loggedIn.Load() || !c.needsLogin() {
		return nil
	}
	if err := t.loggingIn.take(ctx); err != nil {
		return err
	}
	defer t.loggingIn.give()
	if t.closed.Load() {
		return permanentError{errClosed}
	}
	if c.loggedIn.Load() {
		return nil
	}
	if t.refused != nil {
		return t.refused
	}
	before, err := t.flags(ctx, c)
	if err != nil {
		return err
	}
	if err := t.obtainPIN(ctx, c, before, who, confirmed); err != nil {
		return err
	}
	if t.closed.Load() {
		t.forgetPIN()
		return permanentError{errClosed}
	}
	return t.offer(ctx, c, before, who)
}

func (c *conn) needsLogin() bool {
	return c.slot.info.Flags&p11.CKF_LOGIN_REQUIRED != 0 || c.t.wantsLogin.Load()
}

// flags reads the token's flags afresh: another program may have tried a PIN.
func (t *token) flags(ctx context.Context, c *conn) (p11.TokenInfo, error) {
	var info p11.TokenInfo
	err := c.run(ctx, "reading the token's flags", func(l lib) (err error) {
		info, err = l.tokenInfo(c.slot.id)
		return err
	})
	if err != nil {
		return p11.TokenInfo{}, err
	}
	if info.Flags&p11.CKF_USER_PIN_LOCKED != 0 {
		return info, permanentError{fmt.Errorf("%w, says the token; no PIN was tried", signer.ErrPINLocked)}
	}
	return info, nil
}

func onPad(info p11.TokenInfo) bool {
	return info.Flags&p11.CKF_PROTECTED_AUTHENTICATION_PATH != 0
}

// obtainPIN makes sure that there is a PIN to offer: the one that the token took
// before, or a new one from the UI.
func (t *token) obtainPIN(ctx context.Context, c *conn, info p11.TokenInfo, who asker, confirmed bool) error {
	if onPad(info) {
		return nil
	}
	if t.pin != nil {
		return t.mayRepeat(c, info, confirmed)
	}
	if who.ui == nil {
		return permanentError{&signer.NoSecretError{Kind: signer.PIN, Device: c.slot.name()}}
	}
	pin, err := askPIN(ctx, who.ui, pinRequest(c.slot, info, who))
	if err != nil {
		return permanentError{err}
	}
	t.pin, t.serial = pin, c.slot.info.SerialNumber
	return nil
}

// mayRepeat guards the automatic login after a reconnect.
func (t *token) mayRepeat(c *conn, info p11.TokenInfo, confirmed bool) error {
	if info.Flags&p11.CKF_USER_PIN_FINAL_TRY != 0 {
		return permanentError{signer.ErrLastTry}
	}
	if c.slot.info.SerialNumber != t.serial && !confirmed {
		return permanentError{&signer.NotFoundError{
			What: "token", URI: t.match, Cause: signer.ErrNoToken,
			Present: []string{fmt.Sprintf("%s, where serial %q was before", c.slot, t.serial)},
		}}
	}
	return nil
}

func pinRequest(s slot, info p11.TokenInfo, who asker) signer.SecretRequest {
	r := signer.SecretRequest{
		Kind: signer.PIN, URI: who.uri, Device: s.name(), Roles: who.roles, TriesLeft: -1,
		CountLow: info.Flags&p11.CKF_USER_PIN_COUNT_LOW != 0,
	}
	if info.Flags&p11.CKF_USER_PIN_FINAL_TRY != 0 {
		r.TriesLeft = 1
	}
	r.Min, r.Max = pinBounds(info)
	return r
}

// pinBounds gives the token's limits in bytes, 0 where it states none or nonsense.
func pinBounds(info p11.TokenInfo) (low, high int) {
	if info.MaxPinLen == 0 || info.MaxPinLen < info.MinPinLen || info.MaxPinLen > 1<<16 {
		return 0, 0
	}
	return int(info.MinPinLen), int(info.MaxPinLen)
}

// askPIN asks the UI and holds the answer to the token's bounds, before the token
// sees it: some tokens count an empty or overlong PIN as a wrong one.
func askPIN(ctx context.Context, ui signer.UI, r signer.SecretRequest) ([]byte, error) {
	secret, err := ui.Secret(ctx, r)
	if err != nil {
		return nil, err
	}
	pin := append([]byte(nil), secret.Unwrap()...)
	switch n := len(pin); {
	case n == 0:
		return nil, &signer.NoSecretError{Kind: r.Kind, Device: r.Device, Err: errors.New("the source gave an empty one")}
	case r.Min > 0 && n < r.Min, r.Max > 0 && n > r.Max:
		clear(pin)
		return nil, fmt.Errorf("%w: %s takes %d to %d bytes; it was not tried", signer.ErrPINInvalid, r.Device, r.Min, r.Max)
	}
	return pin, nil
}

// offer calls C_Login, once.
func (t *token) offer(ctx context.Context, c *conn, before p11.TokenInfo, who asker) error {
	err := t.callLogin(ctx, c, before, p11.CKU_USER, who)
	switch code := codeOf(err); {
	case err == nil:
		t.proven = t.pin != nil
		c.loggedIn.Store(true)
		return nil
	case code == ckrPINIncorrect, code == ckrPINLocked, code == ckrPINLenRange,
		code == ckrPINInvalid, code == ckrPINExpired:
		t.refused = t.pinError(ctx, c, err)
		t.forgetPIN()
		return t.refused
	case code == ckrUserTypeInvalid && before.Flags&p11.CKF_USER_PIN_INITIALIZED == 0: // NSS
		return fmt.Errorf("%w: %w", signer.ErrPINNotSet, err)
	case code == ckrOK || t.pin == nil || !vendorDefined(code) && (t.proven || !meaningOf(code).transient):
		return err
	}
	return t.vague(ctx, c, before, err)
}

// vague judges an error of C_Login that does not say whether the PIN was right. If the
// token's flags say that a try was lost, it was wrong, and there is no second one. Nor is
// there after a code that the module's maker made up, unless the token took the PIN before.
func (t *token) vague(ctx context.Context, c *conn, before p11.TokenInfo, err error) error {
	const marks = p11.CKF_USER_PIN_COUNT_LOW | p11.CKF_USER_PIN_FINAL_TRY | p11.CKF_USER_PIN_LOCKED
	var after p11.TokenInfo
	readErr := c.run(ctx, "reading the token's flags", func(l lib) (err error) {
		after, err = l.tokenInfo(c.slot.id)
		return err
	})
	if readErr == nil && after.Flags&marks&^before.Flags != 0 {
		t.refused = permanentError{t.pinError(ctx, c, err)}
		t.forgetPIN()
		return t.refused
	}
	if vendorDefined(codeOf(err)) && !t.proven {
		t.refused = permanentError{doubtfulPIN{err}}
		t.forgetPIN()
		return t.refused
	}
	return err
}

// doubtfulPIN: the module did not say in terms of the standard why it refused a login.
// Like a wrong PIN it is not mended by another try, nor by another process.
type doubtfulPIN struct{ err error }

func (e doubtfulPIN) Error() string {
	return fmt.Sprintf("the PIN may have been wrong and is not tried again: %v", e.err)
}
func (e doubtfulPIN) Unwrap() error { return e.err }

// Is makes errors.Is(err, signer.ErrPINIncorrect) hold.
func (e doubtfulPIN) Is(target error) bool { return target == signer.ErrPINIncorrect }

// callLogin makes the C call: with the PIN, or with none where the device has a pad of
// its own. ALREADY_LOGGED_IN says nothing of the PIN; a PIN that nobody has tried yet
// is tried after a logout.
func (t *token) callLogin(ctx context.Context, c *conn, info p11.TokenInfo, user uint, who asker) error {
	limit := t.opts.timeout()
	if onPad(info) {
		limit *= slowFactor
		if who.ui != nil {
			defer who.ui.Touch(ctx, signer.TouchRequest{Device: c.slot.name(), Roles: who.roles, PINPad: true})()
		}
	}
	return t.loginOn(ctx, c, user, limit)
}

func (t *token) loginOn(ctx context.Context, c *conn, user uint, limit time.Duration) error {
	pin := append([]byte(nil), t.pin...) // an abandoned call must not see it cleared
	proven := t.proven || len(pin) == 0
	return c.onHeldFor(ctx, "logging in", limit, func(l lib, s p11.SessionHandle) error {
		defer clear(pin)
		err := l.login(s, user, pin)
		if codeOf(err) != ckrUserAlreadyLoggedIn {
			return err
		}
		if proven {
			return nil
		}
		if err := l.logout(s); err != nil {
			return err
		}
		return l.login(s, user, pin)
	})
}

// pinError adds what the token's flags say of the tries left.
func (t *token) pinError(ctx context.Context, c *conn, err error) error {
	if code := codeOf(err); code == ckrPINLocked || code == ckrPINLenRange || code == ckrPINInvalid || code == ckrPINExpired {
		return err
	}
	var info p11.TokenInfo
	readErr := c.run(ctx, "reading the token's flags", func(l lib) (err error) {
		info, err = l.tokenInfo(c.slot.id)
		return err
	})
	left := -1
	switch {
	case readErr != nil:
	case info.Flags&p11.CKF_USER_PIN_LOCKED != 0:
		left = 0
	case info.Flags&p11.CKF_USER_PIN_FINAL_TRY != 0:
		left = 1
	}
	return &signer.PINError{Left: left, Answer: answerIn(err), Err: err}
}
