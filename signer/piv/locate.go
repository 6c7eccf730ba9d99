//go:build cgo || windows

package piv

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-piv/piv-go/v2/piv"

	"github.com/fleet-hsm/fleet-hsm/internal/pcsc"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

// maxInserts is how often a person is asked for a card in one go.
const maxInserts = 5

// cardState is a card, and what one look without a PIN found on it.
type cardState struct {
	card  card
	tries int     // -1 if the card does not tell
	key   slotKey // of the wanted slot; zero if none was wanted
}

// want says what is looked for.
type want struct {
	ref  signer.Ref
	slot piv.Slot // zero if only the card matters
}

// locate finds the card that a URI means, asking a person to insert it if it is
// absent. Without anybody to ask the error is *signer.NotFoundError.
func (b *Backend) locate(ctx context.Context, w want, ui signer.UI) (cardState, error) {
	p, err := b.scan(ctx, w)
	for n := 0; n < maxInserts && ui != nil && errors.Is(err, signer.ErrNoToken); n++ {
		r := signer.InsertRequest{URI: w.ref.URI, Device: deviceOf(w.ref.URI), Roles: w.ref.Roles}
		if asked := ui.Insert(ctx, r); errors.Is(asked, signer.ErrNoTerminal) {
			return cardState{}, err
		} else if asked != nil {
			return cardState{}, asked
		}
		if pause(ctx, b.grace) != nil {
			return cardState{}, canceled(ctx)
		}
		p, err = b.scanFor(ctx, w, b.settle)
	}
	return p, err
}

// looks is how often at least a card that was just inserted is looked for, however
// long a busy machine takes for that.
const looks = 10

// scanFor scans until the card is there: the daemon takes a moment to see it.
func (b *Backend) scanFor(ctx context.Context, w want, patience time.Duration) (cardState, error) {
	until := time.Now().Add(patience)
	for look := 1; ; look++ {
		p, err := b.scan(ctx, w)
		late := look >= looks && !time.Now().Before(until)
		if !errors.Is(err, signer.ErrNoToken) || late {
			return p, err
		}
		if pause(ctx, 100*time.Millisecond) != nil {
			return cardState{}, canceled(ctx)
		}
	}
}

// scan looks at the cards that a URI can mean, once; those that another program
// holds again for Options.BusyFor.
func (b *Backend) scan(ctx context.Context, w want) (cardState, error) {
	readers, err := b.listReaders(ctx)
	if err != nil {
		return cardState{}, err
	}
	todo, others := matching(readers, w.ref.URI)
	found := findings{want: w}
	for _, r := range others {
		found.present = append(found.present, fmt.Sprintf("reader %q, not looked at", r))
	}
	until := time.Now().Add(b.opts.BusyFor)
	for {
		var busy []string
		for _, r := range todo {
			p, err := b.lookTwice(ctx, r, w.slot)
			if stop := found.add(p, err, r, &busy); stop != nil {
				return cardState{}, stop
			}
			if p, ok := found.certain(); ok {
				return p, nil
			}
		}
		if len(busy) == 0 {
			return found.decide()
		}
		if !time.Now().Before(until) {
			return cardState{}, found.held
		}
		if pause(ctx, 100*time.Millisecond) != nil {
			return cardState{}, canceled(ctx)
		}
		todo = busy
	}
}

// listReaders asks the daemon for its readers.
func (b *Backend) listReaders(ctx context.Context) ([]string, error) {
	type answer struct {
		readers []string
		err     error
	}
	if err := canceled(ctx); err != nil {
		return nil, err
	}
	if err := pcsc.Loaded(); err != nil {
		return nil, &causeError{cause: signer.ErrUnreachable, err: err}
	}
	ours, cancel := context.WithTimeout(ctx, b.opts.Deadline)
	defer cancel()
	result := make(chan answer, 1)
	go func() {
		readers, err := piv.Cards()
		if pcscCode(err) == codeSecurity && pause(ours, b.second) == nil {
			readers, err = piv.Cards() // see codeSecurity
		}
		result <- answer{readers, err}
	}()
	select {
	case a := <-result:
		return a.readers, classify(a.err)
	case <-ours.Done():
		return nil, ended(ctx, "the PC/SC daemon did not answer")
	}
}

// matching splits the readers into those a URI means and the rest.
func matching(readers []string, u signer.URI) (meant, others []string) {
	name, named := u.Attr("reader")
	for _, r := range readers {
		if named && r == name {
			return []string{r}, nil
		}
	}
	for _, r := range readers {
		fits := isYubiKey(r)
		if named {
			fits = strings.Contains(strings.ToLower(r), strings.ToLower(name))
		}
		if fits {
			meant = append(meant, r)
		} else {
			others = append(others, r)
		}
	}
	return meant, others
}

// look reads a card in one visit.
func (b *Backend) look(ctx context.Context, reader string, slot piv.Slot) (cardState, error) {
	var p cardState
	err := b.exchange(ctx, transaction{reader: reader, limit: b.opts.Deadline}, func(s *session) error {
		var err error
		if p.card, err = s.identify(); err != nil {
			return err
		}
		if p.tries, err = s.tries(p.card); err != nil || slot == (piv.Slot{}) {
			return err
		}
		p.key, err = s.key(p.card, slot)
		return err
	})
	if err != nil {
		return cardState{}, err
	}
	return p, nil
}

// lookTwice looks again if the card was reset under the first look.
func (b *Backend) lookTwice(ctx context.Context, reader string, slot piv.Slot) (cardState, error) {
	p, err := b.look(ctx, reader, slot)
	if pcscCodeIn(err) == codeResetCard {
		return b.look(ctx, reader, slot)
	}
	return p, err
}

// findings gathers what a scan sees.
type findings struct {
	want    want
	states  []cardState
	present []string
	// broken is what went wrong with a card that may be the one that is wanted.
	broken error
	held   error // the error of a card that another program holds
}

// add takes in one look. The error it returns ends the scan.
func (f *findings) add(p cardState, err error, reader string, busy *[]string) error {
	var left *abandonedError
	switch {
	case err == nil:
		f.present = append(f.present, fmt.Sprintf("%s, firmware %s", p.card, p.card.firmware()))
		if serial, ok := f.want.ref.URI.Attr("serial"); !ok || sameSerial(serial, p.card.serial) {
			f.states = append(f.states, p)
		}
	case errors.Is(err, signer.ErrBusy):
		*busy, f.held = append(*busy, reader), err
	case errors.Is(err, signer.ErrCanceled), errors.Is(err, signer.ErrUnreachable), errors.Is(err, signer.ErrDenied), errors.As(err, &left):
		return err
	case errors.Is(err, signer.ErrNoToken): // an empty reader, or a card just pulled out
	case errors.Is(err, signer.ErrDevice), errors.Is(err, signer.ErrDeadline):
		f.broken = fmt.Errorf("reader %q: %w", reader, err)
	default:
		f.present = append(f.present, fmt.Sprintf("reader %q: %v", reader, err))
	}
	return nil
}

// certain gives a card that no other can displace: the serial number fits, or it
// holds the key that is expected.
func (f *findings) certain() (cardState, bool) {
	_, bySerial := f.want.ref.URI.Attr("serial")
	for _, p := range f.states {
		if bySerial || holds(p, f.want.ref.Pinned) {
			return p, true
		}
	}
	return cardState{}, false
}

func holds(p cardState, pinned crypto.PublicKey) bool {
	return pinned != nil && p.key.source != "certificate" && signer.SamePublic(pinned, p.key.public)
}

// decide chooses when every card has been looked at.
func (f *findings) decide() (cardState, error) {
	switch {
	case len(f.states) == 0 && f.broken != nil:
		return cardState{}, f.broken
	case len(f.states) == 0:
		return cardState{}, &signer.NotFoundError{What: "card", URI: f.want.ref.URI, Present: f.present, Cause: signer.ErrNoToken}
	case len(f.states) == 1:
		return f.states[0], nil
	}
	names := make([]string, len(f.states))
	for i, p := range f.states {
		names[i] = p.card.uri(signer.URI{}, "").String()
	}
	return cardState{}, &signer.AmbiguousError{What: "card", URI: f.want.ref.URI, Candidates: names}
}
