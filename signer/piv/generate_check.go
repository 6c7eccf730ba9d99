//go:build cgo || windows

package piv

import (
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/go-piv/piv-go/v2/piv"

	"github.com/fleet-hsm/fleet-hsm/signer"
)

// refused explains a card's refusal: other vendors lack policies and algorithms.
func (j *generateJob) refused(err error) error {
	switch status(err) {
	case statusWrongData, statusNoFunction, statusWrongLength, statusWrongP1P2, 0x6B00:
		pin, touch := policyNames(slotKey{pin: j.recipe.PINPolicy, touch: j.recipe.TouchPolicy})
		return &signer.UnsupportedError{
			What: fmt.Sprintf("%s with PIN policy %s and touch policy %s", j.recipe.algorithm, pin, touch),
			Why:  "the card refuses it (" + err.Error() + ")", Option: j.suspect(),
		}
	}
	return classify(err)
}

// suspect is what the card most likely refuses: a touch, which few cards but YubiKeys have,
// then a PIN policy other than the slot's own, then the kind of key.
func (j *generateJob) suspect() signer.Option {
	switch {
	case j.recipe.TouchPolicy != piv.TouchPolicyNever:
		return signer.OptionTouchPolicy
	case j.recipe.PINPolicy != usualPIN(j.work.want.slot):
		return signer.OptionPINPolicy
	}
	return signer.OptionAlgorithm
}

// inspect attests the new key and stores the attestation in the slot. False: the card does
// not attest.
func (j *generateJob) inspect(d *direct, c card) (attested bool, err error) {
	slot := j.work.want.slot
	leaf, err := d.attest(slot)
	if err != nil {
		if dead := d.fatal(err); dead != nil {
			return false, dead
		}
		j.warnings = append(j.warnings, "the card does not attest where the key was born")
		return false, nil
	}
	if err := j.attest(c, leaf); err != nil {
		return true, err
	}
	if err := d.putCertificate(slot, leaf); err != nil {
		j.warnings = append(j.warnings, "the certificate was not stored in the slot, so some programs will not see the key: "+err.Error())
	}
	return true, nil
}

// attest checks the attestation of the new key.
func (j *generateJob) attest(c card, leaf *x509.Certificate) error {
	if !signer.SamePublic(j.public, leaf.PublicKey) {
		return badAttestation("it is of another key than the one just generated")
	}
	var between []*x509.Certificate
	if j.device != nil {
		between = append(between, j.device)
	}
	a, err := verifyChain(leaf, between, j.opts.AttestationRoots)
	if err != nil {
		if len(j.opts.AttestationRoots) > 0 {
			return err
		}
		j.warnings = append(j.warnings, fmt.Sprintf("nothing proves that the key was made on a YubiKey: %v", err))
		return nil
	}
	if err := fits(a, c, j.work.want.slot); err != nil {
		return err
	}
	j.attestation = a
	return nil
}

// readBack compares the policies with what was asked for.
func (j *generateJob) readBack(s *session, c card) error {
	k, err := s.key(c, j.work.want.slot)
	if err != nil {
		return err
	}
	if k.public != nil && k.source != "certificate" && !signer.SamePublic(k.public, j.public) {
		return &causeError{cause: signer.ErrDevice, err: errors.New("the slot holds another key than the one just generated")}
	}
	if k.pin != 0 && k.pin != j.recipe.PINPolicy || k.touch != 0 && k.touch != j.recipe.TouchPolicy {
		pin, touch := policyNames(k)
		j.warnings = append(j.warnings, fmt.Sprintf("the card gave the key PIN policy %s and touch policy %s instead of what was asked for", pin, touch))
	}
	return nil
}

func (j *generateJob) generated() (signer.Generated, error) {
	return signer.Generated{
		URI:         j.work.state.card.uri(j.work.want.ref.URI, j.work.want.slot.String()),
		Public:      []crypto.PublicKey{j.public},
		Attestation: j.attestation.Chain,
		Warnings:    j.warnings,
	}, nil
}
