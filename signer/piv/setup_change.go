//go:build cgo || windows

package piv

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"

	"github.com/fleet-hsm/fleet-hsm/signer"
)

// The names of what setup changes, for people.
const (
	thePUK = "PUK"
	thePIN = "PIN"
	theKey = "management key"
)

// change is steps 4 to 7, in one connection. Its error says what is changed.
func (j *setupJob) change(s *session, c card) error {
	err := s.direct(c, func(d *direct) error { return j.changeAll(d, c) })
	done := j.done
	for _, what := range []string{thePUK, thePIN} {
		if j.restored && !slices.Contains(done, what) {
			done = append(done, what+" (to the factory's)")
		}
	}
	if err == nil || len(done) == 0 && j.doing == "" {
		return err
	}
	return &signer.PartialError{Done: done, Maybe: j.doing, Err: classify(err)}
}

func (j *setupJob) changeAll(d *direct, c card) error {
	ours, err := d.authenticate(j.key)
	if err != nil {
		return err
	}
	if !ours {
		return &causeError{cause: signer.ErrAlreadySetUp, err: errors.New("its management key has changed since")}
	}
	if _, err := verify(d, c, j.present, j.told); errors.Is(err, errAskAgain) {
		return signer.ErrLastTry
	} else if err != nil {
		return err
	}
	defer d.dropPIN(c)
	if _, _, err := d.protected(); err != nil {
		return err // something else is where the management key goes
	}
	if err := j.changePUK(d, c); err != nil {
		return err
	}
	if err := d.ctxErr(); err != nil {
		return err
	}
	if err := j.step(thePIN, func() error { return refusedNew(signer.NewPIN, d.change(refPIN, j.present, j.newPIN)) }); err != nil {
		return err
	}
	if err := pinError(d.verifyPIN(j.newPIN)); err != nil {
		return err
	}
	return j.changeKey(d, c)
}

// step makes one change and keeps account of it. An answer of the card says whether it was
// made; without one nobody knows.
func (j *setupJob) step(what string, f func() error) error {
	j.doing = what
	err := f()
	if err != nil && status(err) == 0 && pcscCodeIn(err) != 0 {
		return err
	}
	j.doing = ""
	if err == nil && !slices.Contains(j.done, what) {
		j.done = append(j.done, what)
	}
	return err
}

// admin runs a command that wants the management key, which was proven, and proves it
// again if the card has forgotten that.
func (j *setupJob) admin(d *direct, f func() error) error {
	err := f()
	if status(err) != statusNotSatisfied {
		return err
	}
	if ok, err := d.authenticate(j.key); err != nil || !ok {
		return errors.Join(&causeError{cause: signer.ErrDevice, err: errors.New("the card does not take its management key any more")}, err)
	}
	return f()
}

// changePUK is step 4. An interrupted run, or a person, may have changed the PUK; then
// PIN and PUK go back to the factory's, and the PUK is changed from there.
func (j *setupJob) changePUK(d *direct, c card) error {
	puk, err := d.secretInfo(refPUK)
	if err != nil {
		return err
	}
	if puk.told && puk.factory || !puk.told && j.present == factoryPIN {
		if done, err := j.replacePUK(d, factoryPUK); done || err != nil {
			return err
		}
	}
	can, err := j.restoreFactory(d, c)
	if err != nil {
		return err
	}
	if !can {
		return j.keepPUK(d, puk)
	}
	done, err := j.replacePUK(d, factoryPUK)
	if err == nil && !done {
		err = &causeError{cause: signer.ErrDevice, err: errors.New("the card does not take the factory PUK right after it was restored")}
	}
	return err
}

// replacePUK reports whether old was the PUK; then the new one is.
func (j *setupJob) replacePUK(d *direct, old string) (bool, error) {
	wrong := false
	err := j.step(thePUK, func() error {
		err := d.change(refPUK, old, j.newPUK)
		if _, wrong = triesIn(err); wrong {
			return err
		}
		return refusedNew(signer.NewPUK, err)
	})
	if wrong {
		return false, nil
	}
	return err == nil, err
}

// restoreFactory sets the tries, and with them the factory PIN and PUK. False: the card
// lacks that command.
func (j *setupJob) restoreFactory(d *direct, c card) (bool, error) {
	most, err := j.mostTries(d, c)
	if err != nil {
		return false, err
	}
	if ok, err := d.authenticate(j.key); err != nil || !ok {
		return false, errors.Join(&causeError{cause: signer.ErrDevice, err: errors.New("the card does not take its management key any more")}, err)
	}
	if err := pinError(d.verifyPIN(j.present)); err != nil {
		return false, err
	}
	_, err = d.transmit(insSetRetries, byte(most), 3, nil)
	switch st := status(err); {
	case err == nil:
		j.present, j.restored = factoryPIN, true
		return true, nil
	case st != 0 && st != statusNotSatisfied:
		return false, nil
	}
	return false, classify(err)
}

// keepPUK tries whether the PUK is the new one already, as long as that cannot block it,
// and else leaves it as it is: the card has no way to another one.
func (j *setupJob) keepPUK(d *direct, puk secretInfo) error {
	if puk.left < 0 || puk.left > 1 {
		if done, err := j.replacePUK(d, j.newPUK); done || err != nil {
			return err
		}
	}
	j.warnings = append(j.warnings, "its PUK was left as it is: it is neither the factory's nor the new one, and this card cannot set it without the present one")
	return nil
}

// mostTries tells how many PIN tries the card grants: what its metadata says, or what it
// says once the right PIN was entered and forgotten again.
func (j *setupJob) mostTries(d *direct, c card) (int, error) {
	pin, err := d.secretInfo(refPIN)
	if err != nil || pin.max > 0 {
		return pin.max, err
	}
	d.dropPIN(c)
	n, err := d.tries(c)
	if n < 1 {
		n = 3
	}
	return n, err
}

// changeKey is steps 6 and 7. The key that is stored is read back before the card
// gets it, and proven after.
func (j *setupJob) changeKey(d *direct, c card) error {
	m, err := d.managementInfo()
	if err != nil {
		return err
	}
	kinds := newKinds(c, m)
	key := make([]byte, keyLength(kinds[0]))
	if _, err := rand.Read(key); err != nil {
		return err
	}
	object, _, err := d.protected()
	if err != nil {
		return err
	}
	if err := j.admin(d, func() error { return d.store(object, key) }); err != nil {
		return fmt.Errorf("storing the new management key on the card, which keeps the present one: %w", classify(err))
	}
	back, err := d.storedKey()
	if err != nil {
		return err
	}
	if !bytes.Equal(back, key) {
		return &causeError{cause: signer.ErrDevice, err: errors.New("the card does not give back the management key it was to store; it keeps the present one")}
	}
	if err := d.ctxErr(); err != nil {
		return err
	}
	for _, kind := range kinds {
		if keyLength(kind) != len(key) {
			continue
		}
		err = j.step(theKey, func() error {
			return j.admin(d, func() error { return d.setManagementKey(kind, key) })
		})
		if err == nil || status(err) == 0 {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("changing the management key (%s): %w", kindName(kinds[len(kinds)-1]), classify(err))
	}
	if ok, err := d.authenticate(key); err != nil || !ok {
		return errors.Join(&causeError{cause: signer.ErrDevice, err: errors.New("the card does not accept its new management key")}, err)
	}
	return nil
}
