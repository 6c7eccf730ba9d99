//go:build cgo

package pkcs11

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync/atomic"
	"time"

	p11 "github.com/miekg/pkcs11"
	"golang.org/x/sys/unix"

	"github.com/fleet-hsm/fleet-hsm/signer"
)

// refusal is a PIN that the token refused, or may have refused: there is no second try.
type refusal struct {
	err error
	pin [sha256.Size]byte // its hash, to tell another one from it
}

// refuse keeps the PIN from being offered again. The caller holds loggingIn.
func (t *token) refuse(err error) error {
	t.refused = &refusal{err: permanentError{err}, pin: sha256.Sum256(t.pin)}
	t.forgetPIN()
	return t.refused.err
}

// again is the refusal of a PIN that was not offered this time.
func (r *refusal) again() error { return permanentError{notAgainError{r.err}} }

// notAgainError: the token was not asked, since it refused this PIN before.
type notAgainError struct{ err error }

func (e notAgainError) Error() string {
	return fmt.Sprintf("not tried again, until its source has another PIN: %v", e.err)
}
func (e notAgainError) Unwrap() error { return e.err }

// unprovenPINError: C_Login failed without saying whether the PIN was wrong, and the
// token has never taken it. Some modules answer a wrong PIN so, and count it. Like a
// wrong PIN it is not mended by another try, nor by another process.
type unprovenPINError struct{ err error }

func (e unprovenPINError) Error() string {
	return fmt.Sprintf("the PIN may have been wrong and is not tried again: %v", e.err)
}
func (e unprovenPINError) Unwrap() error { return e.err }

// Is makes errors.Is(err, signer.ErrPINIncorrect) hold.
func (e unprovenPINError) Is(target error) bool { return target == signer.ErrPINIncorrect }

// offer calls C_Login, once, and judges the answer.
func (t *token) offer(ctx context.Context, c *conn, before p11.TokenInfo, who asker) error {
	if !t.proven && t.offers > 0 && pinMarks(before)&^t.marks != 0 {
		return t.refuse(&signer.PINError{Left: -1}) // the first offer cost a try
	}
	t.offers++
	t.marks = pinMarks(before)
	err := t.callLogin(ctx, c, before, who)
	return t.judgeLogin(ctx, c, before, err)
}

func pinMarks(info p11.TokenInfo) uint {
	return info.Flags & (p11.CKF_USER_PIN_COUNT_LOW | p11.CKF_USER_PIN_FINAL_TRY | p11.CKF_USER_PIN_LOCKED)
}

// judgeLogin decides what an answer of C_Login says of the PIN. One that the token took
// before may be offered again where the answer is retryable; one that it never took is
// refused for any answer but CKR_OK, unless nobody can have looked at it. The caller
// holds loggingIn.
func (t *token) judgeLogin(ctx context.Context, c *conn, before p11.TokenInfo, err error) error {
	code := codeOf(err)
	switch {
	case err == nil:
		t.proven = t.pin != nil
		c.loggedIn.Store(true)
		return nil
	case code == ckrOK: // no answer of the module's
		return err
	case refusesPIN(code):
		return t.refuse(t.pinError(ctx, c, err))
	case t.marksMoved(ctx, c, before):
		return t.refuse(t.pinError(ctx, c, err))
	case t.proven, t.notLookedAt(ctx, c, code):
		return err
	}
	return t.refuseUnproven(c, before, err)
}

// refuseUnproven words the refusal of a PIN that the token has never taken.
func (t *token) refuseUnproven(c *conn, before p11.TokenInfo, err error) error {
	code := codeOf(err)
	switch {
	case !flagged(c) && !t.wantsLogin.Load() && hasNoUser(code):
		// Nothing but the source of a PIN spoke for a login: the key may sign without.
		_ = t.refuse(err)
		t.noUser.Store(true)
		return nil
	case onPad(before) && (code == ckrFunctionCanceled || code == ckrCancel):
		return t.refuse(err)
	case hasNoUser(code) && before.Flags&p11.CKF_USER_PIN_INITIALIZED == 0: // NSS
		return t.refuse(fmt.Errorf("%w: %w", signer.ErrPINNotSet, err))
	}
	return t.refuse(unprovenPINError{err})
}

// refusesPIN: the answer is about the PIN.
func refusesPIN(code uint) bool {
	switch code {
	case ckrPINIncorrect, ckrPINLocked, ckrPINLenRange, ckrPINInvalid, ckrPINExpired:
		return true
	}
	return false
}

// hasNoUser: the answer of tokens that know no user, or none with a PIN.
func hasNoUser(code uint) bool {
	return code == ckrUserPINNotInitialized || code == ckrUserTypeInvalid || code == ckrFunctionNotSupported
}

// sessionGone: the answer of a module whose session, token or itself is gone.
func sessionGone(code uint) bool {
	switch code {
	case ckrSessionHandleInvalid, ckrSessionClosed, ckrDeviceRemoved, ckrTokenNotPresent, ckrCryptokiNotInitialized:
		return true
	}
	return false
}

// marksMoved: the token's flags say that a try was lost.
func (t *token) marksMoved(ctx context.Context, c *conn, before p11.TokenInfo) bool {
	var after p11.TokenInfo
	err := c.run(ctx, "reading the token's flags", func(l lib) (err error) {
		after, err = l.tokenInfo(c.slot.id)
		return err
	})
	return err == nil && pinMarks(after)&^pinMarks(before) != 0
}

// notLookedAt: C_Login answered that the session is gone, and another function says so
// too, so nobody compared the PIN with anything. That is believed once.
func (t *token) notLookedAt(ctx context.Context, c *conn, code uint) bool {
	if !sessionGone(code) || t.offers > 1 {
		return false
	}
	err := c.onHeld(ctx, "looking at the session", func(l lib, s p11.SessionHandle) error {
		_, err := l.sessionInfo(s)
		return err
	})
	return sessionGone(codeOf(err))
}

// callLogin makes the C call: with the PIN, or with none where the device has a pad of
// its own.
func (t *token) callLogin(ctx context.Context, c *conn, info p11.TokenInfo, who asker) error {
	limit := t.opts.timeout()
	if onPad(info) {
		limit *= slowFactor
		if who.ui != nil {
			defer who.ui.Touch(ctx, signer.TouchRequest{Device: c.slot.name(), Roles: who.roles, PINPad: true})()
		}
	}
	return t.loginOn(ctx, c, limit)
}

// What became of a C_Login.
const (
	loginWaiting int32 = iota
	loginBegun
	loginAbandoned // before it began; it will not begin
)

// loginOn calls C_Login on the session that holds the login. Where its caller goes
// before the answer is there, settleLogin takes that later.
func (t *token) loginOn(ctx context.Context, c *conn, limit time.Duration) error {
	pin := append([]byte(nil), t.pin...) // an abandoned call must not see it cleared
	proven := t.proven
	var state atomic.Int32
	answer := make(chan error, 1)
	err := c.onHeldFor(ctx, "logging in", limit, func(l lib, s p11.SessionHandle) error {
		defer clear(pin)
		if !state.CompareAndSwap(loginWaiting, loginBegun) {
			return errStale
		}
		login := func() error { return l.loginOnce(s, pin, proven) }
		err := error(nil)
		if len(pin) > 0 {
			err = turn(t.m.path, unix.LOCK_EX, login)
		} else {
			err = login() // a person may take a while at the device
		}
		answer <- err
		return err
	})
	if err != nil && codeOf(err) == ckrOK && !state.CompareAndSwap(loginWaiting, loginAbandoned) {
		t.late = answer
	}
	return err
}

// loginOnce offers a PIN. CKR_USER_ALREADY_LOGGED_IN says nothing of it: where it is not
// proven, and the session says too that a user is logged in, it is offered after a logout.
func (l lib) loginOnce(s p11.SessionHandle, pin []byte, proven bool) error {
	err := l.login(s, p11.CKU_USER, pin)
	if codeOf(err) != ckrUserAlreadyLoggedIn {
		return err
	}
	if proven || len(pin) == 0 {
		return nil
	}
	info, infoErr := l.sessionInfo(s)
	if infoErr != nil || info.State != p11.CKS_RO_USER_FUNCTIONS && info.State != p11.CKS_RW_USER_FUNCTIONS {
		return err
	}
	if err := l.logout(s); err != nil {
		return err
	}
	return l.login(s, p11.CKU_USER, pin)
}

// settleLogin takes the answer of a C_Login that came after its caller had gone. The
// caller holds loggingIn.
func (t *token) settleLogin(ctx context.Context, c *conn) error {
	if t.late == nil {
		return nil
	}
	select {
	case err := <-t.late:
		t.late = nil
		if err == nil {
			t.proven = t.pin != nil
			return nil
		}
		if t.proven {
			return nil // its own retry comes now
		}
		if refusesPIN(codeOf(err)) {
			return t.refuse(t.pinError(ctx, c, err))
		}
		return t.refuse(unprovenPINError{err})
	default:
		return permanentError{fmt.Errorf("%w: an earlier login has not answered yet", signer.ErrDeadline)}
	}
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
