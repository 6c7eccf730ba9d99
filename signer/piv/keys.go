//go:build cgo || windows

package piv

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"time"

	"github.com/go-piv/piv-go/v2/piv"

	"github.com/fleet-hsm/fleet-hsm/internal/wiresig"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

// Keys lists the keys on the card that ref names, without a PIN: slot, public key,
// origin and policies as far as the firmware tells.
func (b *Backend) Keys(ctx context.Context, ref signer.Ref, ui signer.UI) ([]signer.KeyInfo, error) {
	ref.Pinned = nil
	job := &work{want: want{ref: ref}, limit: 2 * b.opts.Deadline}
	var err error
	if job.state, err = b.locate(ctx, job.want, ui); err != nil {
		return nil, keyError("listing keys of", ref.URI, "", err)
	}
	slots := allSlots()
	if _, ok := ref.URI.Attr("slot"); ok {
		one, err := slotOf(ref.URI)
		if err != nil {
			return nil, err
		}
		slots = []piv.Slot{one}
	}
	var infos []signer.KeyInfo
	err = b.exchange(ctx, job.transaction(b), func(s *session) error {
		c, err := job.checkSameCard(s)
		if err != nil {
			return err
		}
		left, err := s.tries(c)
		if err != nil {
			return err
		}
		infos, err = s.keys(c, left, slots)
		return err
	})
	if err != nil {
		return nil, keyError("listing keys of", ref.URI, "", err)
	}
	return infos, nil
}

func (s *session) keys(c card, left int, slots []piv.Slot) ([]signer.KeyInfo, error) {
	var infos []signer.KeyInfo
	for _, slot := range slots {
		k, err := s.key(c, slot)
		if err != nil {
			return nil, err
		}
		if !k.inUse() {
			continue
		}
		infos = append(infos, k.info(c, left, slot))
		if err := s.ctxErr(); err != nil {
			return nil, err
		}
	}
	return infos, nil
}

// info describes what is in a slot.
func (k slotKey) info(c card, left int, slot piv.Slot) signer.KeyInfo {
	i := signer.KeyInfo{
		URI: c.uri(signer.URI{}, slot.String()), Public: k.public, Label: slot.String(), Token: c.token(left), Origin: k.origin,
	}
	i.PINPolicy, i.TouchPolicy = policyNames(k)
	if k.problem != nil {
		i.Problem = k.problem.Error()
		return i
	}
	if k.public == nil {
		i.Problem = fmt.Sprintf("the card does not tell the public key, and the certificate cannot be read: %v", k.certificateProblem)
		return i
	}
	var err error
	if i.Algorithm, err = signer.AlgorithmOf(k.public); err != nil {
		i.Problem = err.Error()
	} else if err := signable(cardState{card: c, key: k}, k.public); err != nil {
		i.Problem = err.Error()
	}
	if k.source == "certificate" {
		i.Warnings = append(i.Warnings, "the public key is from the slot's certificate, which stays behind when a key is replaced")
	}
	if k.origin == "imported" {
		i.Warnings = append(i.Warnings, "the key was imported: other copies of it may exist")
	}
	return i
}

// Describe tells where the key comes from that ref names, without a PIN.
func (b *Backend) Describe(ctx context.Context, ref signer.Ref, ui signer.UI) (signer.KeyInfo, error) {
	slot, err := slotOf(ref.URI)
	if err != nil {
		return signer.KeyInfo{}, err
	}
	p, err := b.locate(ctx, want{ref: ref, slot: slot}, ui)
	if err != nil {
		return signer.KeyInfo{}, keyError("describing key", ref.URI, "", err)
	}
	public, err := publicOf(p, ref)
	var unsupported *signer.UnsupportedError
	if err != nil && !errors.As(err, &unsupported) {
		return signer.KeyInfo{}, keyError("describing key", ref.URI, "", err)
	}
	p.key.public = public
	i := p.key.info(p.card, p.tries, slot)
	i.URI = p.card.uri(ref.URI, slot.String())
	return i, nil
}

// Find looks for a public key on the YubiKeys that are plugged in. Nothing found is
// no error, nor is a machine without PC/SC; a card that could not be looked at is,
// if the key was not on another.
func (b *Backend) Find(ctx context.Context, pub crypto.PublicKey) (signer.URI, error) {
	none := signer.URI{}
	readers, err := b.listReaders(ctx)
	if errors.Is(err, signer.ErrUnreachable) || errors.Is(err, signer.ErrDenied) {
		return none, nil
	}
	if err != nil {
		return none, fmt.Errorf("looking for key %.16s: %w", wiresig.Fingerprint(pub), err)
	}
	meant, _ := matching(readers, none)
	var problems []error
	for _, r := range meant {
		u, err := b.findOn(ctx, r, pub)
		if err == nil && !u.IsZero() {
			return u, nil
		}
		if errors.Is(err, signer.ErrCanceled) {
			return none, err
		}
		if err != nil && !errors.Is(err, signer.ErrNoToken) {
			problems = append(problems, fmt.Errorf("looking for key %.16s in reader %q: %w", wiresig.Fingerprint(pub), r, err))
		}
	}
	return none, errors.Join(problems...)
}

// findOn looks through the slots of one card. A certificate is good enough here:
// whoever signs verifies.
func (b *Backend) findOn(ctx context.Context, reader string, pub crypto.PublicKey) (signer.URI, error) {
	var found signer.URI
	// A card that another program holds for long is not worth a long wait here.
	v := transaction{reader: reader, limit: b.opts.Deadline, busy: min(b.opts.BusyFor, time.Second)}
	err := b.exchange(ctx, v, func(s *session) error {
		c, err := s.identify()
		if err != nil {
			return err
		}
		for _, slot := range allSlots() {
			if err := s.ctxErr(); err != nil {
				return err
			}
			k, err := s.key(c, slot)
			if err != nil {
				return err
			}
			if signer.SamePublic(pub, k.public) {
				found = c.uri(signer.URI{}, slot.String())
				return nil
			}
		}
		return nil
	})
	if err != nil {
		return signer.URI{}, err
	}
	return found, nil
}
