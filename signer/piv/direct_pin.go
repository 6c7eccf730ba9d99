//go:build cgo || windows

package piv

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/go-piv/piv-go/v2/piv"

	"github.com/fleet-hsm/fleet-hsm/signer"
)

// padded is a PIN or PUK as the card takes it (SP 800-73-4, part 2, section 2.4.3).
func padded(pin string) ([]byte, error) {
	if n := len(pin); n < minPIN || n > maxPIN {
		return nil, &causeError{cause: signer.ErrPINInvalid, err: fmt.Errorf("%d bytes; a card takes %d to %d", n, minPIN, maxPIN)}
	}
	return append([]byte(pin), bytes.Repeat([]byte{0xFF}, maxPIN-len(pin))...), nil
}

// verifyPIN is VERIFY. Whoever sends it looks at tries first: see verify.
func (d *direct) verifyPIN(pin string) error {
	data, err := padded(pin)
	if err != nil {
		return err
	}
	_, err = d.transmit(insVerify, 0, refPIN, data)
	return err
}

// change is CHANGE REFERENCE DATA, of the PIN or the PUK.
func (d *direct) change(ref byte, old, new string) error {
	was, err := padded(old)
	if err != nil {
		return err
	}
	now, err := padded(new)
	if err != nil {
		return err
	}
	_, err = d.transmit(insChange, 0, ref, append(was, now...))
	return err
}

// tries is session.tries, in this connection.
func (d *direct) tries(c card) (int, error) {
	n, verified, err := d.counter()
	if err != nil || !verified {
		return n, err
	}
	if !c.yubikey {
		return -1, nil // a PIN that counts as verified has all its tries
	}
	d.dropPIN(c)
	n, _, err = d.counter()
	return n, err
}

// counter is VERIFY without a PIN: it tells the tries left, or that the PIN is verified.
func (d *direct) counter() (left int, verified bool, err error) {
	_, err = d.transmit(insVerify, 0, refPIN, nil)
	if err == nil {
		return -1, true, nil
	}
	if n, ok := triesIn(err); ok {
		return n, false, nil
	}
	return -1, false, d.fatal(err)
}

// dropPIN is session.dropPIN, in this connection.
func (d *direct) dropPIN(c card) {
	if !c.yubikey {
		return
	}
	other := aidManagement()
	if c.before(5, 0, 0) {
		other = aidOTP()
	}
	_, _ = d.transmit(insSelect, 4, 0, other)
	_, _ = d.transmit(insSelect, 4, 0, aidPIV())
}

// attest is Yubico's ATTEST: the certificate of a key that was made on the card.
func (d *direct) attest(slot piv.Slot) (*x509.Certificate, error) {
	answer, err := d.transmit(insAttest, byte(slot.Key), 0, nil)
	if err != nil {
		return nil, err
	}
	if list, err := elements(answer); err == nil && len(list[0x70]) > 0 {
		answer = list[0x70]
	}
	return x509.ParseCertificate(answer)
}

// present is the key that the card shows in a slot, nil if it shows none.
func (d *direct) present(slot piv.Slot) (crypto.PublicKey, error) {
	list, err := d.metadataOf(byte(slot.Key))
	if err != nil {
		return nil, err
	}
	if a := algorithmOf(list[1]); a != "" && len(list[4]) > 0 {
		return decodePublic(a, list[4])
	}
	if len(list[4]) > 0 {
		return nil, errors.New("a key of another kind")
	}
	if list != nil {
		return nil, nil
	}
	leaf, err := d.attest(slot)
	if err != nil {
		return nil, d.fatal(err)
	}
	return leaf.PublicKey, nil
}

// unchanged refuses a slot that shows another key than the one that was found in it, by
// piv-go and in another connection: somebody was faster.
func (d *direct) unchanged(slot piv.Slot, found slotKey) error {
	now, err := d.present(slot)
	if typed(err) {
		return err
	}
	if err == nil && (now == nil || found.public != nil && signer.SamePublic(found.public, now)) {
		return nil
	}
	if err != nil && found.public != nil {
		if _, unknown := signer.AlgorithmOf(found.public); unknown != nil {
			return nil // of another kind before, too
		}
	}
	return &causeError{cause: signer.ErrKeyExists, err: errors.New("another program put a key into the slot a moment ago")}
}
