//go:build cgo || windows

package piv

import (
	"context"
	"crypto/x509"
	"errors"

	"github.com/go-piv/piv-go/v2/piv"

	"github.com/fleet-hsm/fleet-hsm/internal/wiresig"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

// Attest has the card attest the key in the slot that ref names, and verifies the
// chain: up to Yubico's roots or extraRoots (PEM), and that slot, serial number and
// public key are those of this card, and the public key ref.Pinned if there is one.
// No PIN and no touch. A key that was imported cannot be attested:
// signer.UnsupportedError.
func (b *Backend) Attest(ctx context.Context, ref signer.Ref, extraRoots []byte) (signer.Attestation, error) {
	a, err := b.attest(ctx, ref, extraRoots)
	if err != nil {
		return signer.Attestation{}, keyError("attesting key", ref.URI, "", err)
	}
	return a, nil
}

func (b *Backend) attest(ctx context.Context, ref signer.Ref, extraRoots []byte) (signer.Attestation, error) {
	var none signer.Attestation
	slot, err := slotOf(ref.URI)
	if err != nil {
		return none, err
	}
	w := want{ref: ref, slot: slot}
	p, err := b.locate(ctx, w, nil)
	if err != nil {
		return none, err
	}
	public, err := publicOf(p, ref)
	if err != nil {
		return none, err
	}
	var leaf, device *x509.Certificate
	job := &work{want: w, state: p, limit: b.opts.Deadline}
	err = b.exchange(ctx, job.transaction(b), func(s *session) error {
		var err error
		if _, err = job.checkSameCard(s); err != nil {
			return err
		}
		leaf, device, err = s.attestation(slot)
		return err
	})
	if err != nil {
		return none, err
	}
	a, err := verifyChain(leaf, []*x509.Certificate{device}, extraRoots)
	if err != nil {
		return none, err
	}
	if !signer.SamePublic(public, a.Public) {
		return none, &signer.KeyChangedError{URI: ref.URI, Want: wiresig.Fingerprint(public), Have: wiresig.Fingerprint(a.Public)}
	}
	return a, fits(a, p.card, slot)
}

// attestation fetches the certificate of the key in a slot and the card's own.
func (s *session) attestation(slot piv.Slot) (leaf, device *x509.Certificate, err error) {
	leaf, err = s.yk.Attest(slot)
	switch {
	case errors.Is(err, piv.ErrNotFound):
		return nil, nil, &signer.UnsupportedError{What: "attesting this key", Why: "it was not generated on the card"}
	case status(err) != 0:
		return nil, nil, &signer.UnsupportedError{What: "attesting keys", Why: "the card answers " + err.Error()}
	case err != nil:
		return nil, nil, classify(err)
	}
	device, err = s.yk.AttestationCertificate()
	return leaf, device, classify(err)
}

// fits compares an attestation with the card and slot that it came from. Cards may
// leave the serial number out.
func fits(a signer.Attestation, c card, slot piv.Slot) error {
	if a.Slot != "" && a.Slot != slot.String() {
		return badAttestation("it is of slot %s, not %s", a.Slot, slot)
	}
	if a.Serial != "" && c.serial != "" && !sameSerial(a.Serial, c.serial) {
		return badAttestation("it is of card %s, not %s", a.Serial, c.serial)
	}
	return nil
}
