package keyring

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

// ShortError: every key within reach has signed, and it is not enough. Exit 3.
type ShortError struct {
	Role       string
	Version    int64
	Have, Need int
	Names      []string // who could still sign
}

func (e *ShortError) Error() string {
	return fmt.Sprintf("%s v%d has %d of %d signatures: needs %s", e.Role, e.Version, e.Have, e.Need, strings.Join(e.Names, ", or "))
}

// Sign has one document signed by keys within reach until its thresholds are met.
// keep is called after each signature that cost a person something. A key that is
// not here is passed over; if the others are not enough, the person at the terminal
// is asked for its card. Any other trouble ends it.
func (k *Ring) Sign(ctx context.Context, ui UI, d *meta.Doc, keep func() error) error {
	away, err := k.signAtHand(ctx, ui, d, d.Missing(), keep)
	if err != nil {
		return err
	}
	for !d.Met() && len(away.cards) > 0 {
		bring, err := ui.InsertAny(ctx, away.cards, d.Role())
		if errors.Is(err, signer.ErrNoTerminal) || err == nil && !bring {
			break
		}
		if err != nil {
			return err
		}
		if away, err = k.signInserted(ctx, ui, d, away, keep); err != nil {
			return err
		}
	}
	if err := k.Short(d); err != nil && away.err != nil {
		return &AbsentError{Short: err, Device: away.err}
	} else if err != nil {
		return err
	}
	return nil
}

// absence is what a pass over the keys of a document did not find.
type absence struct {
	keys  []meta.Key   // whose cards can be inserted
	cards []signer.URI // where those keys are
	err   error        // what the last absent device answered
}

// signAtHand has a document signed by those of keys that are here.
func (k *Ring) signAtHand(ctx context.Context, ui UI, d *meta.Doc, keys []meta.Key, keep func() error) (absence, error) {
	var away absence
	for _, key := range k.cheapFirst(d, keys) {
		if d.Met() {
			break
		}
		if !slices.ContainsFunc(d.Missing(), func(m meta.Key) bool { return m.ID == key.ID }) {
			continue
		}
		err := k.signWith(ctx, ui, d, key, keep)
		if absentDevice(err) {
			k.pulledOut(ui, key)
		}
		if err != nil && !notHere(err) {
			return away, fmt.Errorf("signing %s v%d: %w", d.Role(), d.Version(), err)
		}
		if err == nil || !absentDevice(err) {
			continue
		}
		away.err = err
		if card, ok := k.insertable(d.KeyRole(key), key, err); ok {
			away.keys, away.cards = append(away.keys, key), append(away.cards, card)
		}
	}
	return away, nil
}

// pulledOut says that a device which was there when its key was looked at is gone, so
// that nobody wonders why the PIN that they typed did nothing.
func (k *Ring) pulledOut(ui UI, key meta.Key) {
	s, was := k.open[key.ID]
	if !was || !s.URI().Kind().Insertable {
		return
	}
	delete(k.open, key.ID)
	_ = s.Close() // nothing was signed with it
	k.opts.Note("%s was pulled out; nothing was signed with it", ui.Named(s.URI()))
}

// noticed and settled bound how long a card that was just inserted may take to
// appear. The PC/SC daemon looks every 400 ms; a card that it has not noticed to
// have been away must be left alone until then. A busy machine takes longer for all
// that: it gets its number of looks.
const (
	noticed = 500 * time.Millisecond
	settled = 2500 * time.Millisecond
	looks   = 10
)

// signInserted goes on with the keys that were absent, once one of their cards was
// inserted.
func (k *Ring) signInserted(ctx context.Context, ui UI, d *meta.Doc, away absence, keep func() error) (absence, error) {
	missing := len(d.Missing())
	wait := noticed
	until := time.Now().Add(settled)
	for look := 1; ; look++ {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return away, ctx.Err()
		}
		still, err := k.signAtHand(ctx, ui, d, away.keys, keep)
		late := look >= looks && !time.Now().Before(until)
		if err != nil || len(d.Missing()) < missing || d.Met() || late {
			return still, err
		}
		wait = 100 * time.Millisecond
	}
}

// insertable says which card a person could insert to have a key that is absent.
func (k *Ring) insertable(role string, key meta.Key, err error) (signer.URI, bool) {
	if !errors.Is(err, signer.ErrNoToken) {
		return signer.URI{}, false
	}
	var nf *signer.NotFoundError
	if errors.As(err, &nf) {
		return nf.URI, nf.URI.Kind().Insertable
	}
	for _, c := range k.Candidates(role, key) {
		if c.URI.Kind().Insertable {
			return c.URI, true
		}
	}
	return signer.URI{}, false
}

// atHand is the person who is not asked for a device that is absent: another key may
// do.
type atHand struct {
	signer.UI
	fromRequest bool // see Candidate
}

// Secret implements signer.UI.
func (h atHand) Secret(ctx context.Context, r signer.SecretRequest) (signer.Secret, error) {
	r.Own = h.fromRequest
	return h.UI.Secret(ctx, r)
}

// Sourced implements signer.Sourced.
func (h atHand) Sourced(r signer.SecretRequest) bool {
	r.Own = h.fromRequest
	s, ok := h.UI.(signer.Sourced)
	return ok && s.Sourced(r)
}

// Heard implements signer.Hearer.
func (h atHand) Heard(from, line string) {
	if l, ok := h.UI.(signer.Hearer); ok {
		l.Heard(from, line)
	}
}

// Insert implements signer.UI.
func (atHand) Insert(context.Context, signer.InsertRequest) error { return signer.ErrNoTerminal }

// Short says who must still sign, or nil.
func (k *Ring) Short(d *meta.Doc) error {
	short := d.Short()
	if short == nil {
		return nil
	}
	e := &ShortError{Role: d.Role(), Version: d.Version(), Have: short.Have, Need: short.Need}
	for _, key := range short.Missing {
		e.Names = append(e.Names, k.Name(d.KeyRole(key), key))
	}
	return e
}

// AbsentError is a ShortError whose cause is a device that is not plugged in.
type AbsentError struct {
	Short  error
	Device error
}

func (e *AbsentError) Error() string   { return fmt.Sprintf("%v (%v)", e.Short, e.Device) }
func (e *AbsentError) Unwrap() []error { return []error{e.Short, e.Device} }

// cheapFirst puts keys that need no person before the others.
func (k *Ring) cheapFirst(d *meta.Doc, keys []meta.Key) []meta.Key {
	cost := func(key meta.Key) int {
		list := k.Candidates(d.KeyRole(key), key)
		if len(list) == 0 {
			return 3
		}
		switch kind := list[0].URI.Kind(); {
		case kind.Person:
			return 2
		case kind.OnDevice():
			return 1
		}
		return 0
	}
	out := slices.Clone(keys)
	slices.SortStableFunc(out, func(a, b meta.Key) int { return cost(a) - cost(b) })
	return out
}

func (k *Ring) signWith(ctx context.Context, ui UI, d *meta.Doc, key meta.Key, keep func() error) error {
	s, err := k.signer(ctx, ui, d.KeyRole(key), key)
	if err != nil {
		return err
	}
	sig, err := s.Sign(ctx, d.Payload())
	for errors.Is(err, signer.ErrTouchTimeout) && ui.OnceMore(ctx, s.URI()) {
		sig, err = s.Sign(ctx, d.Payload())
	}
	if err != nil {
		return err
	}
	if err := d.AddSignature(key.ID, sig); err != nil {
		return &signer.KeyError{Op: "signing with key", URI: s.URI(), Err: err}
	}
	if k.opts.Signed != nil {
		if err := k.opts.Signed(d, key, s.URI(), sig); err != nil {
			return err
		}
	}
	if keep != nil && s.URI().OnDevice() {
		return keep()
	}
	return nil
}

// ShortOf says who must still sign a change, or nil.
func (k *Ring) ShortOf(c *repo.Change) error {
	for _, d := range c.Docs() {
		if err := k.Short(d); err != nil {
			return err
		}
	}
	return nil
}
