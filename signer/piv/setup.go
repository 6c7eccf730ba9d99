//go:build cgo || windows

package piv

import (
	"context"
	"errors"
	"fmt"

	"github.com/fleet-hsm/fleet-hsm/signer"
)

// Setup takes a card from the factory to secrets of its own. u names the card.
//
// The order, and what a crash after each step leaves:
//
//  1. look whether the management key is the factory's; if not, and the caller has none
//     (opts.ManagementKey): signer.ErrAlreadySetUp. Costs nothing.
//  2. prove the factory PIN, only if at least 3 tries are left. Refused: somebody, or
//     an interrupted setup, changed it, and the present PIN is asked for.
//  3. ask for the new PIN and PUK, with the card closed; look whether the card's policy
//     would refuse one of them.
//  4. change the PUK. Crash: factory PIN and management key; 1 and 2 still hold.
//  5. change the PIN. Crash: 2 is refused and the new PIN is the present one.
//  6. store a new management key under the PIN, read it back. Crash: as after 5; the
//     next run stores another one, the card's is still the factory's.
//  7. make it the card's. This is one command of the card: done, or not done.
//
// A PUK that is not the factory's any more (after 4) cannot be known, and guessing
// would spend its tries: it goes back to the factory's with SET PIN RETRIES, which
// needs the PIN and the management key that are in hand. So a rerun finishes
// whatever step was the last, and leaves all tries. On cards without that command the
// PUK is tried as the new one already, and left as it is if it is another.
//
// What fails after step 4 says what is changed: *signer.PartialError.
//
// With opts.Reset the card is wiped first: all its keys are gone.
func (b *Backend) Setup(ctx context.Context, u signer.URI, opts signer.SetupOptions, ui signer.UI) (signer.Token, error) {
	t, err := b.setup(ctx, u, opts, ui)
	if err != nil {
		return signer.Token{}, keyError("setting up", u, "", err)
	}
	return t, nil
}

func (b *Backend) setup(ctx context.Context, u signer.URI, opts signer.SetupOptions, ui signer.UI) (signer.Token, error) {
	w := want{ref: signer.Ref{URI: u}}
	p, err := b.locate(ctx, w, ui)
	if err != nil {
		return signer.Token{}, err
	}
	if p.card.before(4, 3, 0) { // no key is made on it, so nothing is worth changing
		return signer.Token{}, errOld(p.card)
	}
	h, release, err := b.turn(ctx, p.card)
	if err != nil {
		return signer.Token{}, err
	}
	defer release()
	b.forget(h, nil)
	job := &setupJob{b: b, ui: ui, key: factoryKey(), own: opts.ManagementKey && !opts.Reset, work: &work{want: w, state: p, ui: ui, limit: 4 * b.opts.Deadline, device: p.card.String()}}
	if opts.Reset {
		if err := job.transaction(ctx, func(s *session, _ card) error { return classify(s.yk.Reset()) }); err != nil {
			return signer.Token{}, err
		}
	}
	if job.own {
		if job.key, err = askManagementKey(ctx, ui, job.work); err != nil {
			return signer.Token{}, err
		}
	}
	if err := job.transaction(ctx, job.examine); err != nil {
		return signer.Token{}, err
	}
	if err := job.ask(ctx); err != nil {
		return signer.Token{}, err
	}
	if err := job.transaction(ctx, job.change); err != nil {
		return signer.Token{}, err
	}
	b.remember(h, job.newPIN)
	t, err := b.token(ctx, p.card.reader)
	if err != nil {
		// All that was asked for is done. Called a failure, it would be run again, and
		// the second run would find a card that is set up already.
		t = p.card.token(-1)
		t.Warnings = append(t.Warnings, fmt.Sprintf("it is set up, and could not be looked at once more: %v", err))
	}
	t.Warnings = append(t.Warnings, job.warnings...)
	return t, nil
}

// setupJob is one run of Setup.
type setupJob struct {
	b    *Backend
	ui   signer.UI
	work *work

	key []byte // the present management key
	own bool   // it is not the factory's

	present        string // the PIN of the card, "" as long as it is unknown
	told           int    // tries that the person knew of when giving it
	left           int    // tries left
	newPIN, newPUK string
	strict         bool // the card has, or may have, a policy on simple PINs

	done     []string // what is changed
	restored bool     // PIN and PUK were put back to the factory's first
	doing    string   // what is being changed
	warnings []string
}

// transaction runs f with the card, after making sure that it is still the same.
func (j *setupJob) transaction(ctx context.Context, f func(*session, card) error) error {
	return j.b.exchange(ctx, j.work.transaction(j.b), func(s *session) error {
		c, err := j.work.checkSameCard(s)
		if err != nil {
			return err
		}
		return f(s, c)
	})
}

// examine is steps 1 and 2.
func (j *setupJob) examine(s *session, c card) error {
	var state []string
	err := s.direct(c, func(d *direct) (err error) {
		if state, err = j.examineKey(d, c); err != nil || len(state) > 0 {
			return err
		}
		return j.examinePIN(d, c)
	})
	if err != nil || len(state) == 0 {
		return err
	}
	if err := s.reopen(c); err != nil {
		return err
	}
	used, err := s.slotsInUse(c)
	if err != nil {
		return err
	}
	return &causeError{cause: signer.ErrAlreadySetUp, err: errors.New("its management key is not the factory's; " + described(state, used))}
}

// examinePIN is step 2, and asks for the card's policy on simple PINs first.
func (j *setupJob) examinePIN(d *direct, c card) error {
	var err error
	if j.strict, err = d.complexity(c); err != nil {
		return err
	}
	if j.left, err = d.tries(c); err != nil {
		return err
	}
	if j.left == 0 {
		return signer.ErrPINLocked
	}
	if j.left > 0 && j.left < 3 {
		return nil // somebody has tried PINs; the rest is the person's
	}
	defer d.dropPIN(c)
	err = d.verifyPIN(factoryPIN)
	if left, ok := triesIn(err); ok {
		j.left = left
		return nil
	}
	if err != nil {
		return classify(err)
	}
	j.present, j.told = factoryPIN, j.left
	return nil
}

// examineKey is step 1. A card that is set up is described.
func (j *setupJob) examineKey(d *direct, c card) (state []string, err error) {
	if j.own {
		ok, err := d.authenticate(j.key)
		if err == nil && !ok {
			err = &causeError{cause: signer.ErrManagement, err: errors.New("the one that was given is not the card's; that costs no try, and nothing was changed")}
		}
		return nil, err
	}
	ours, err := d.hasFactoryKey(c)
	if err != nil || ours {
		return nil, err
	}
	return d.state()
}

// ask is step 3, and asks for the present PIN where it is not the factory's.
func (j *setupJob) ask(ctx context.Context) error {
	var err error
	if j.newPIN, err = j.askNew(ctx, signer.NewPIN); err != nil {
		return err
	}
	if j.newPUK, err = j.askNew(ctx, signer.NewPUK); err != nil {
		return err
	}
	if j.newPUK == j.newPIN {
		// Whoever blocks the card by mistyping one would have lost the other too.
		return &causeError{cause: signer.ErrPINInvalid, err: errors.New("the new PUK is the new PIN")}
	}
	if err := j.checkSimple(); err != nil {
		return err
	}
	if j.present != "" {
		return nil
	}
	return j.askPresent(ctx)
}

// askPresent asks which PIN the card has. Where nobody answers, an interrupted run
// may have set the new PIN already; it is tried as long as that is not the last try.
func (j *setupJob) askPresent(ctx context.Context) error {
	r := j.request(signer.PIN)
	r.TriesLeft, r.Note = j.left, "The card has a PIN that is not the factory's; an interrupted setup may have set the new one already."
	pin, err := askPIN(ctx, j.ui, r)
	nobody := errors.Is(err, signer.ErrNoSecret) || errors.Is(err, signer.ErrNoTerminal)
	stale := err == nil && pin == factoryPIN && j.left < 3 // refused a moment ago
	if j.left > 1 && (nobody || stale) {
		pin, err = j.newPIN, nil
	}
	j.present, j.told = pin, j.left
	return err
}

func (j *setupJob) request(kind signer.SecretKind) signer.SecretRequest {
	return signer.SecretRequest{Kind: kind, URI: j.work.want.ref.URI, Device: j.work.device, TriesLeft: -1}
}

// askNew asks for a new PIN or PUK and refuses the ones everybody knows.
func (j *setupJob) askNew(ctx context.Context, kind signer.SecretKind) (string, error) {
	s, err := askPIN(ctx, j.ui, j.request(kind))
	if err != nil {
		return "", err
	}
	if s == factoryPIN || s == factoryPUK {
		return "", &causeError{cause: signer.ErrPINInvalid, err: fmt.Errorf("the new %s is one that cards leave the factory with", nameOf(kind))}
	}
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return "", &causeError{cause: signer.ErrPINInvalid, err: fmt.Errorf("the new %s has a character that other keyboards lack; use digits", nameOf(kind))}
		}
	}
	return s, nil
}

func nameOf(kind signer.SecretKind) string {
	if kind == signer.NewPUK {
		return "PUK"
	}
	return "PIN"
}
