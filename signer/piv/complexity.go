//go:build cgo || windows

package piv

import (
	"fmt"
	"slices"
	"strings"

	"github.com/fleet-hsm/fleet-hsm/signer"
)

// Since firmware 5.7 the owner of many YubiKeys can order them with a policy that refuses
// simple PINs and PUKs. A card says whether it has one, and not whether it would take a PIN;
// the rule is Yubico's (Technical Manual, "PIN complexity"): not one character throughout,
// and none of a list.

// common are the ones of that list that are 6 to 8 characters long.
func common() []string {
	return []string{
		"123456", "123123", "654321", "123321", "112233", "121212", "520520", "123654", "159753", "1234567", "12345678", "123456789",
		"qwerty", "abc123", "password", "iloveyou", "1q2w3e4r",
	}
}

// isSimple reports whether the policy refuses a PIN or PUK.
func isSimple(pin string) bool {
	return pin == strings.Repeat(pin[:1], len(pin)) || slices.Contains(common(), strings.ToLower(pin))
}

// complexity reports whether the card has the policy, or may have it: a YubiKey that could
// and does not say.
func (d *direct) complexity(c card) (bool, error) {
	if !c.yubikey || c.before(5, 7, 0) {
		return false, nil
	}
	list, err := d.deviceInfo()
	if err != nil {
		return false, err
	}
	v, listed := list[0x16]
	return !listed || len(v) != 1 || v[0] != 0, nil
}

// deviceInfo reads the configuration from the management applet, page by page; nil where
// it cannot be read. It makes the card forget a PIN and a management key.
func (d *direct) deviceInfo() (map[uint16][]byte, error) {
	all := map[uint16][]byte{}
	if _, err := d.transmit(insSelect, 4, 0, aidManagement()); err != nil {
		return nil, d.fatal(err)
	}
	for page := range byte(4) {
		answer, err := d.transmit(insReadConfig, page, 0, nil)
		if err != nil || len(answer) == 0 {
			break
		}
		list, err := elements(answer[1:])
		if err != nil {
			break
		}
		for tag, v := range list {
			all[tag] = v
		}
		if more := list[0x10]; len(more) != 1 || more[0] == 0 {
			break
		}
	}
	_, err := d.transmit(insSelect, 4, 0, aidPIV())
	return all, classify(err)
}

// checkSimple refuses, before anything is changed, a new PIN or PUK that the card's policy
// refuses.
func (j *setupJob) checkSimple() error {
	if !j.strict {
		return nil
	}
	for _, one := range []struct {
		kind  signer.SecretKind
		value string
	}{{signer.NewPIN, j.newPIN}, {signer.NewPUK, j.newPUK}} {
		if isSimple(one.value) {
			return &causeError{cause: signer.ErrPINTooSimple, err: fmt.Errorf("the new %s is one character throughout or a common one; neither PIN nor PUK was changed", nameOf(one.kind))}
		}
	}
	return nil
}

// refusedNew explains the card's refusal of a new PIN or PUK, while the old one was right.
func refusedNew(kind signer.SecretKind, err error) error {
	if st := status(err); st == statusConditions || st == statusWrongData {
		return &causeError{cause: signer.ErrPINTooSimple, err: fmt.Errorf("the card refuses the new %s: %w", nameOf(kind), err)}
	}
	return pinError(err)
}
