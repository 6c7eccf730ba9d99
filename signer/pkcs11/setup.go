//go:build cgo

package pkcs11

import (
	"context"
	"fmt"
	"unicode/utf8"

	p11 "github.com/miekg/pkcs11"

	"github.com/fleet-hsm/fleet-hsm/signer"
)

// maxLabel is the length of a token label in bytes (PKCS#11, CK_TOKEN_INFO).
const maxLabel = 32

// Setup implements signer.SetterUp: gives a token its label, its security officer's
// PIN and its user PIN. u names the new label ("token"); "serial", "model" and
// "slot-id" choose among several empty tokens. A token that has a label already is
// erased only if opts.Erase repeats that label; then its present SO PIN is asked for.
// Everything is asked for before the token is touched.
func (b *Backend) Setup(ctx context.Context, u signer.URI, opts signer.SetupOptions, ui signer.UI) (signer.Token, error) {
	m, err := b.module(u)
	if err != nil {
		return signer.Token{}, failed("setting up token", u, nil, err)
	}
	s := &setup{b: b, m: m, u: u, opts: opts}
	if err := s.checkLabel(); err != nil {
		return signer.Token{}, failed("setting up token", u, nil, err)
	}
	token, err := s.run(ctx, ui)
	return token, failed("setting up token", u, nil, err)
}

type setup struct {
	b       *Backend
	m       *module
	u       signer.URI
	opts    signer.SetupOptions
	label   string
	so, pin []byte
	// newSO replaces so on a token whose maker's SO PIN must be changed first.
	newSO []byte
}

func (s *setup) checkLabel() error {
	s.label, _ = s.u.Attr("token")
	switch {
	case s.label == "":
		return &signer.UnsupportedError{What: "a token without a label", Why: `the URI needs "token=..."`}
	case len(s.label) > maxLabel:
		return &signer.UnsupportedError{What: fmt.Sprintf("a label of %d bytes", len(s.label)), Why: fmt.Sprintf("a token has room for %d", maxLabel)}
	case !utf8.ValidString(s.label), clean(s.label) != s.label:
		return &signer.UnsupportedError{What: "this label", Why: "it ends in a blank or is not UTF-8"}
	}
	for _, name := range []string{"object", "id"} {
		if _, ok := s.u.Attr(name); ok {
			return &signer.UnsupportedError{What: fmt.Sprintf("%q in the name of a token", name), Why: "it names a key"}
		}
	}
	return nil
}

func (s *setup) run(ctx context.Context, ui signer.UI) (signer.Token, error) {
	var target slot
	err := s.b.startUp(ctx, s.m, "looking for the token", func() (err error) {
		target, err = s.target()
		return err
	})
	if err != nil {
		return signer.Token{}, err
	}
	if err := s.ask(ctx, target, ui); err != nil {
		return signer.Token{}, err
	}
	if err := s.b.letGo(s.m); err != nil {
		return signer.Token{}, err
	}
	var out signer.Token
	limit := s.b.opts.timeout() * slowFactor
	err = s.m.run(ctx, "setting up the token", limit, true, func() (err error) {
		defer s.forget()
		out, err = s.initialize(target)
		return err
	})
	if err != nil {
		return signer.Token{}, err
	}
	return out, nil
}

// forget drops the PINs, at the end of the calls that need them: a call that was
// given up on may come back and go on.
func (s *setup) forget() { clear(s.so); clear(s.newSO); clear(s.pin) }

// target finds the token to set up.
func (s *setup) target() (slot, error) {
	all, problems, err := s.m.lib.present()
	if err != nil {
		return slot{}, err
	}
	var empty, old []slot
	for _, t := range all {
		switch {
		case !s.chosen(t):
		case t.info.Label != "" && t.info.Label == s.opts.Erase:
			old = append(old, t)
		case t.info.Flags&p11.CKF_TOKEN_INITIALIZED == 0 && t.info.Label == "":
			empty = append(empty, t)
		}
		if t.info.Label == s.label && t.info.Label != s.opts.Erase && t.info.Flags&p11.CKF_TOKEN_INITIALIZED != 0 {
			return slot{}, permanentError{fmt.Errorf("%w: %s", signer.ErrAlreadySetUp, t)}
		}
	}
	switch {
	case s.opts.Erase != "" && len(old) == 1:
		return old[0], nil
	case s.opts.Erase != "" && len(old) > 1:
		e := &signer.AmbiguousError{What: "token", URI: kind.URI().With("token", s.opts.Erase)}
		for _, t := range old {
			e.Candidates = append(e.Candidates, t.String())
		}
		return slot{}, e
	case s.opts.Erase != "":
		return slot{}, noToken(kind.URI().With("token", s.opts.Erase), all, problems)
	case len(empty) > 0:
		return empty[0], nil
	}
	if len(all) > 0 {
		return slot{}, permanentError{fmt.Errorf("%w: no token is empty; present: %v", signer.ErrAlreadySetUp, all)}
	}
	return slot{}, noToken(s.u, all, problems)
}

// chosen holds a slot to what the URI says besides the new label.
func (s *setup) chosen(t slot) bool {
	u := kind.URI()
	for _, name := range tokenAttrs() {
		if v, ok := s.u.Attr(name); ok && name != "token" {
			u = u.With(name, v)
		}
	}
	return s.m.lib.matches(t, u)
}

func (s *setup) ask(ctx context.Context, t slot, ui signer.UI) error {
	if onPad(t.info) {
		return &signer.UnsupportedError{What: "setting up a token with its own PIN pad", Why: "its maker's program does that"}
	}
	if t.info.Flags&p11.CKF_WRITE_PROTECTED != 0 {
		return &signer.UnsupportedError{What: "setting up this token", Why: "it is write-protected"}
	}
	if s.opts.Erase != "" && t.info.Flags&p11.CKF_SO_PIN_LOCKED != 0 {
		return fmt.Errorf("%w, says the token of the security officer's PIN; none was tried", signer.ErrPINLocked)
	}
	low, high := pinBounds(t.info)
	r := signer.SecretRequest{
		Kind: signer.NewSOPIN, URI: s.u, Device: fmt.Sprintf("token %q", s.label), TriesLeft: -1, Min: low, Max: high,
		Note: "The security officer's PIN sets the token up and unblocks the user PIN; it never signs.",
	}
	if s.opts.Erase != "" {
		r.Kind, r.Device = signer.SOPIN, t.name()
		r.Note = "The token's present SO PIN is needed to erase it, with every key on it."
		r.CountLow = t.info.Flags&p11.CKF_SO_PIN_COUNT_LOW != 0
		if t.info.Flags&p11.CKF_SO_PIN_FINAL_TRY != 0 {
			r.TriesLeft = 1
		}
	}
	var err error
	if s.so, err = askPIN(ctx, ui, r); err != nil {
		return err
	}
	if s.opts.Erase != "" && t.info.Flags&p11.CKF_SO_PIN_TO_BE_CHANGED != 0 {
		r.Kind, r.Note = signer.NewSOPIN, "The token wants its maker's SO PIN changed."
		if s.newSO, err = askPIN(ctx, ui, r); err != nil {
			return err
		}
	}
	s.pin, err = askPIN(ctx, ui, signer.SecretRequest{
		Kind: signer.NewPIN, URI: s.u, Device: fmt.Sprintf("token %q", s.label), TriesLeft: -1, Min: low, Max: high,
	})
	return err
}

// initialize does it. The token may be in another slot afterwards.
func (s *setup) initialize(t slot) (signer.Token, error) {
	l := s.m.lib
	if err := wrap("C_InitToken", l.c.InitToken(t.id, string(s.so), s.label)); err != nil {
		return signer.Token{}, soError(err)
	}
	s.m.finalize()
	if err := s.m.initialize(); err != nil {
		return signer.Token{}, err
	}
	fresh, err := l.findToken(kind.URI().With("token", s.label))
	if err != nil {
		return signer.Token{}, fmt.Errorf("the token was initialised and then not found: %w", err)
	}
	if err := s.setPIN(l, fresh); err != nil {
		return signer.Token{}, fmt.Errorf("the token is initialised, but has no user PIN: %w", err)
	}
	if fresh, err = l.findToken(kind.URI().With("token", s.label)); err != nil {
		return signer.Token{}, err
	}
	return fresh.describe(s.m.path), nil
}

func soError(err error) error {
	if codeOf(err) == ckrPINIncorrect {
		return &signer.PINError{Left: -1, Answer: answerIn(err), Err: err}
	}
	return err
}

// setPIN logs in as security officer, sets the user PIN, and proves it with a login.
func (s *setup) setPIN(l lib, t slot) error {
	h, err := l.open(t.id, true)
	if err != nil {
		return err
	}
	defer l.close(h)
	if err := l.login(h, p11.CKU_SO, s.so); err != nil {
		return soError(err)
	}
	if s.newSO != nil {
		if err := wrap("C_SetPIN", l.c.SetPIN(h, string(s.so), string(s.newSO))); err != nil {
			_ = l.logout(h)
			return fmt.Errorf("changing the SO PIN: %w", err)
		}
	}
	if err := wrap("C_InitPIN", l.c.InitPIN(h, string(s.pin))); err != nil {
		_ = l.logout(h)
		return err
	}
	if err := l.logout(h); err != nil {
		return err
	}
	if err := l.login(h, p11.CKU_USER, s.pin); err != nil {
		return err
	}
	return l.logout(h)
}
