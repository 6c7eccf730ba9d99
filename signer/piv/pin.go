//go:build cgo || windows

package piv

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fleet-hsm/fleet-hsm/signer"
)

// PINs and PUKs have 6 to 8 bytes (NIST SP 800-73-4, part 2, section 2.4.3). Shorter
// ones cost a try on some cards.
const minPIN, maxPIN = 6, 8

// errAskAgain: one try is left and the person who gave the PIN did not know.
var errAskAgain = errors.New("one try left, and the person was not told")

// work is what somebody wants from a card, with or without its PIN.
type work struct {
	want  want
	state cardState // where the card was last seen
	ui    signer.UI
	// check refuses a card where the key is another one by now; may be nil.
	check   func(cardState) error
	needPIN bool
	limit   time.Duration
	device  string
	note    string
}

// touching announces that the card may be waiting for a finger.
func (w *work) touching(ctx context.Context) func() {
	if w.ui == nil {
		return func() {}
	}
	return w.ui.Touch(ctx, signer.TouchRequest{URI: w.want.ref.URI, Device: w.device, Roles: w.want.ref.Roles})
}

// withPIN runs f with the card, after the PIN was verified if it is needed. It asks
// for the PIN while the card is closed, for the card if it has gone, and again for a
// PIN if the card reports its last try unexpectedly. h is locked by the caller.
func (b *Backend) withPIN(ctx context.Context, h *holder, w *work, f func(s *session, c card, pin string) error) error {
	return b.withLogin(ctx, h, w, func(s *session, c card, l *login) error {
		if w.needPIN {
			if err := l.enter(s, c); err != nil {
				return err
			}
			defer s.dropPIN(c)
		}
		return f(s, c, l.pin)
	})
}

// login is a PIN that was asked for, on its way to the card.
type login struct {
	pin  string
	told int // the tries that the person knew of, -1 if nobody was told
	// sent: the card may have counted it. good: the card took it.
	sent, good bool
}

// asked is a connection that takes a PIN.
type asked interface {
	tries(c card) (int, error)
	verifyPIN(pin string) error
	ctxErr() error
}

// enter sends the PIN over a connection.
func (l *login) enter(to asked, c card) error {
	sent, err := verify(to, c, l.pin, l.told)
	l.sent, l.good = l.sent || sent, err == nil
	return err
}

// withLogin is withPIN where f itself enters the PIN: over the connection that needs it,
// so that it goes to the card once.
func (b *Backend) withLogin(ctx context.Context, h *holder, w *work, f func(s *session, c card, l *login) error) error {
	resets := 0
	for range maxInserts {
		pin, told, err := b.obtainPIN(ctx, h, w)
		if err != nil {
			return err
		}
		l := &login{pin: pin, told: told}
		err = b.exchange(ctx, w.transaction(b), func(s *session) error {
			c, err := w.checkSameCard(s)
			if err != nil {
				return err
			}
			return f(s, c, l)
		})
		var left *abandonedError
		if errors.As(err, &left) {
			return err
		}
		if l.good {
			b.remember(h, pin)
		}
		var absent *absentError
		switch {
		case errors.Is(err, errAskAgain):
			b.forget(h, nil)
		case errors.Is(err, signer.ErrPINIncorrect):
			b.forget(h, err)
			return err
		case errors.As(err, &absent):
			if err := b.relocate(ctx, w); err != nil {
				return err
			}
		case pcscCodeIn(err) == codeResetCard && resets == 0 && l.sent == l.good:
			resets++ // whatever reset the card, no PIN try is in doubt
		default:
			return err
		}
	}
	return &causeError{cause: signer.ErrDevice, err: errors.New("the card comes and goes")}
}

func (w *work) transaction(b *Backend) transaction {
	return transaction{reader: w.state.card.reader, limit: w.limit, busy: b.opts.BusyFor, touching: w.touching}
}

// checkSameCard checks that this is the card that was looked at, before it gets a PIN.
func (w *work) checkSameCard(s *session) (card, error) {
	c, err := s.identify()
	if errors.Is(err, signer.ErrNoToken) {
		return c, &absentError{err: err}
	}
	if err != nil {
		return c, err
	}
	if c.id() != w.state.card.id() {
		return c, otherCard(c)
	}
	if c.serial != "" || w.check == nil {
		return c, nil
	}
	// Only the key tells this card from another one in the same reader.
	k, err := s.key(c, w.want.slot)
	if err != nil {
		return c, err
	}
	return c, w.check(cardState{card: c, key: k})
}

// obtainPIN gives the PIN that was verified before, or asks for it after a fresh
// look at the card. told is the number of tries that the person knew of, -1 if
// nobody was told.
func (b *Backend) obtainPIN(ctx context.Context, h *holder, w *work) (pin string, told int, err error) {
	pin, err = b.known(h)
	if errors.Is(err, errClosed) || !w.needPIN {
		return "", -1, onlyClosed(err)
	}
	if pin != "" || err != nil {
		return pin, -1, err
	}
	if err := b.relocate(ctx, w); err != nil {
		return "", 0, err
	}
	pin, err = askPIN(ctx, w.ui, signer.SecretRequest{
		Kind: signer.PIN, URI: w.want.ref.URI, Device: w.device, Token: w.state.card.id(), Roles: w.want.ref.Roles, TriesLeft: w.state.tries, Note: w.note,
	})
	return pin, w.state.tries, err
}

// relocate looks for the card again, in whatever reader it is now, and checks that
// the slot still holds the same key.
func (b *Backend) relocate(ctx context.Context, w *work) error {
	p, err := b.locate(ctx, w.want, w.ui)
	if err != nil {
		return err
	}
	if p.card.id() != w.state.card.id() {
		return &causeError{cause: signer.ErrNoToken, err: fmt.Errorf("%s is there instead of the card of before", p.card)}
	}
	if w.check != nil {
		if err := w.check(p); err != nil {
			return err
		}
	}
	w.state = p
	return nil
}

// onlyClosed drops the memory of a wrong PIN, which does not concern a key that
// needs none.
func onlyClosed(err error) error {
	if errors.Is(err, errClosed) {
		return err
	}
	return nil
}

// askPIN asks for a PIN or PUK and refuses what a card must not see.
func askPIN(ctx context.Context, ui signer.UI, r signer.SecretRequest) (string, error) {
	if r.TriesLeft == 0 {
		return "", signer.ErrPINLocked
	}
	if ui == nil {
		return "", &signer.NoSecretError{Kind: r.Kind, Device: r.Device}
	}
	r.Min, r.Max = minPIN, maxPIN
	switch r.Kind {
	case signer.PIN:
		r.Name, r.Blocked = "PIV PIN", "only the card's PUK sets a new one"
	case signer.NewPIN:
		r.Name = "PIV PIN"
	}
	secret, err := ui.Secret(ctx, r)
	if err != nil {
		return "", err
	}
	if err := canceled(ctx); err != nil {
		return "", err
	}
	if n := len(secret.Unwrap()); n < minPIN || n > maxPIN {
		return "", &causeError{cause: signer.ErrPINInvalid, err: fmt.Errorf("%s of %d bytes; a card takes %d to %d", r.Kind, n, minPIN, maxPIN)}
	}
	return string(secret.Unwrap()), nil
}

// verify sends the PIN, once. sent reports whether the card may have counted it.
func verify(to asked, c card, pin string, told int) (sent bool, err error) {
	left, err := to.tries(c)
	if err != nil {
		return false, err
	}
	if left == 0 {
		return false, signer.ErrPINLocked
	}
	if left == 1 && told != 1 {
		return false, errAskAgain
	}
	if err := to.ctxErr(); err != nil {
		return false, err
	}
	return true, pinError(to.verifyPIN(pin))
}

func (s *session) verifyPIN(pin string) error { return s.yk.VerifyPIN(pin) }

// pinError makes the card's answer to a PIN an error of package signer.
func pinError(err error) error {
	if err == nil {
		return nil
	}
	if left, ok := triesIn(err); ok {
		return &signer.PINError{Left: left, Err: err}
	}
	if st := status(err); st == statusWrongData || st == statusConditions {
		return &causeError{cause: signer.ErrPINInvalid, err: err}
	}
	return classify(err)
}

// pcscCodeIn finds the PC/SC code in an error that was classified already.
func pcscCodeIn(err error) uint32 {
	var c *causeError
	if errors.As(err, &c) {
		return pcscCode(c.err)
	}
	return pcscCode(err)
}
