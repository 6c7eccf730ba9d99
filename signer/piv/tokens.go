//go:build cgo || windows

package piv

import (
	"context"
	"errors"
	"fmt"

	"github.com/fleet-hsm/fleet-hsm/signer"
)

// Tokens lists the cards that u can mean, without any PIN: all YubiKeys for "piv:".
// Other readers are listed too, with the Problem that they were not touched. A
// machine without PC/SC daemon is signer.ErrUnreachable.
func (b *Backend) Tokens(ctx context.Context, u signer.URI) ([]signer.Token, error) {
	readers, err := b.listReaders(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing cards: %w", err)
	}
	meant, others := matching(readers, u)
	serial, bySerial := u.Attr("serial")
	var tokens []signer.Token
	for _, r := range meant {
		t, err := b.token(ctx, r)
		switch {
		case errors.Is(err, signer.ErrCanceled):
			return nil, err
		case errors.Is(err, signer.ErrDenied):
			return nil, fmt.Errorf("listing cards: %w", err)
		case errors.Is(err, signer.ErrNoToken):
			continue // an empty reader
		case err != nil:
			t = signer.Token{Kind: kind.Scheme, URI: readerURI(r), Reader: r, PINTriesLeft: -1, Problem: err.Error()}
		case bySerial && !sameSerial(serial, t.Serial):
			continue
		}
		tokens = append(tokens, t)
	}
	if bySerial {
		return tokens, nil
	}
	if _, byReader := u.Attr("reader"); byReader {
		return tokens, nil
	}
	for _, r := range others {
		tokens = append(tokens, signer.Token{
			Kind: kind.Scheme, URI: readerURI(r), Reader: r, PINTriesLeft: -1,
			Problem: `not looked at, because its name is not a YubiKey's; "` + readerURI(r).String() + `" looks`,
		})
	}
	return tokens, nil
}

func readerURI(reader string) signer.URI {
	return kind.URI().With("reader", reader)
}

// token reads one card.
func (b *Backend) token(ctx context.Context, reader string) (signer.Token, error) {
	var t signer.Token
	v := transaction{reader: reader, limit: b.opts.Deadline, busy: b.opts.BusyFor}
	err := b.exchange(ctx, v, func(s *session) error {
		c, err := s.identify()
		if err != nil {
			return err
		}
		left, err := s.tries(c)
		if err != nil {
			return err
		}
		t = c.token(left)
		if t.Slots, err = s.slotsInUse(c); err != nil {
			return err
		}
		factory := false
		err = s.direct(c, func(d *direct) (err error) {
			factory, err = d.hasFactoryKey(c)
			return err
		})
		if err != nil {
			return err
		}
		t.Initialized = !factory
		if factory {
			t.Warnings = append(t.Warnings, "the management key is the factory's: the card is not set up")
		}
		return nil
	})
	if err != nil {
		return signer.Token{}, err
	}
	return t, nil
}

// token describes a card that was identified.
func (c card) token(left int) signer.Token {
	t := signer.Token{
		URI: c.uri(signer.URI{}, ""), Kind: kind.Scheme, Serial: c.serial, Firmware: c.firmware(), Reader: c.reader,
		Label: c.String(), PINTriesLeft: left, Initialized: true, Warnings: c.warnings(""),
	}
	if c.yubikey {
		t.Manufacturer, t.Model = "Yubico", "YubiKey"
	}
	switch left {
	case 0:
		t.Flags = append(t.Flags, "pin-locked")
	case 1:
		t.Flags = append(t.Flags, "pin-final-try")
	}
	return t
}

// warnings are the known flaws of a YubiKey's firmware, as far as they concern a kind of
// key; "" is any kind.
func (c card) warnings(alg signer.Algorithm) []string {
	if !c.yubikey {
		return nil
	}
	w := advice(c.version, alg)
	if c.before(4, 3, 0) {
		w = append(w, "firmware before 4.3 attests no keys, so none is made or used on it")
	} else if c.before(5, 3, 0) {
		w = append(w, "firmware before 5.3 does not tell what is in a slot; imported keys cannot be checked before they sign")
	}
	return w
}

// slotsInUse lists the slots with a key, or, where the card does not tell, with a
// certificate.
func (s *session) slotsInUse(c card) ([]string, error) {
	var used []string
	for _, slot := range allSlots() {
		k, err := s.key(c, slot)
		if err != nil {
			return nil, err
		}
		if k.inUse() {
			used = append(used, slot.String())
		}
		if err := s.ctxErr(); err != nil {
			return nil, err
		}
	}
	return used, nil
}

func (k slotKey) inUse() bool {
	return k.public != nil || k.problem != nil || k.certificateProblem != nil
}
