//go:build cgo

package pkcs11

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

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
// is asked for once, tried once, and kept for reconnecting. confirmed says that the
// token showed the expected public key.
func (t *token) login(ctx context.Context, c *conn, who asker, confirmed bool) error {
	if c.loggedIn.Load() || !t.mustLogin(c, who) {
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
	before, err := t.mayOffer(ctx, c, who)
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

// mustLogin: the token's flag says so, or it asked for a login before. The flag is a
// hint that some modules forget, so somebody who named a source for the PIN means it;
// and where no private key is seen, or none signs, without a login, one is tried (handle).
func (t *token) mustLogin(c *conn, who asker) bool {
	if flagged(c) || t.wantsLogin.Load() {
		return true
	}
	return !t.noUser.Load() && who.sourced(c.slot)
}

// loginAfterAll logs in where the token does not ask for it and something failed without
// a login. That failure is the error where there is no PIN to be had.
func (t *token) loginAfterAll(ctx context.Context, c *conn, who asker, confirmed bool, failure error) error {
	t.wantsLogin.Store(true)
	err := t.login(ctx, c, who, confirmed)
	if errors.Is(err, signer.ErrNoSecret) || errors.Is(err, signer.ErrNoTerminal) {
		return failure
	}
	return err
}

func flagged(c *conn) bool { return c.slot.info.Flags&p11.CKF_LOGIN_REQUIRED != 0 }

// sourced: a source that is no person gives the PIN.
func (who asker) sourced(s slot) bool {
	ui, ok := who.ui.(signer.Sourced)
	return ok && ui.Sourced(pinRequest(s, p11.TokenInfo{}, who))
}

// mayOffer reads the flags and refuses where a PIN was refused before, unless its
// source has another one now. The caller holds loggingIn.
func (t *token) mayOffer(ctx context.Context, c *conn, who asker) (p11.TokenInfo, error) {
	if err := t.settleLogin(ctx, c); err != nil {
		return p11.TokenInfo{}, err
	}
	if t.refused != nil && !who.sourced(c.slot) {
		return p11.TokenInfo{}, t.refused.again()
	}
	before, err := t.flags(ctx, c)
	if err != nil {
		return before, err
	}
	return before, t.changedSource(ctx, c, before, who)
}

// changedSource takes another PIN than the refused one from its source, if it has one.
func (t *token) changedSource(ctx context.Context, c *conn, before p11.TokenInfo, who asker) error {
	if t.refused == nil {
		return nil
	}
	pin, err := askPIN(ctx, who.ui, pinRequest(c.slot, before, who))
	if err != nil || sha256.Sum256(pin) == t.refused.pin {
		clear(pin)
		return t.refused.again()
	}
	t.refused, t.offers = nil, 0
	t.pin, t.serial = pin, c.slot.info.SerialNumber
	return nil
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
	t.pin, t.serial, t.offers = pin, c.slot.info.SerialNumber, 0
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
		Kind: signer.PIN, URI: who.uri, Device: s.name(), Token: s.identity(), Roles: who.roles, TriesLeft: -1,
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
