//go:build cgo || windows

package piv

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/go-piv/piv-go/v2/piv"

	"github.com/fleet-hsm/fleet-hsm/signer"
)

// What a card leaves the factory with. Copies, because piv-go's are variables.
const (
	factoryPIN = "123456"
	factoryPUK = "12345678"
)

func factoryKey() []byte {
	return bytes.Repeat([]byte{1, 2, 3, 4, 5, 6, 7, 8}, 3)
}

// newManagementKey makes a key of 24 bytes: AES-192, or 3DES before firmware 5.4.
// No other length: piv-go v2.6.0 announces 24 bytes whatever it stores under the
// PIN, so the other ones come back cut or not at all.
func newManagementKey() ([]byte, error) {
	k := make([]byte, 24)
	_, err := rand.Read(k)
	return k, err
}

// authenticate reports whether a management key is the card's. A wrong one costs
// nothing, and nothing is changed: piv-go authenticates before it looks at what kind
// of key to generate, and refuses the empty description itself. Slot 00, which no
// card has, would stop it if that ever changed.
func (s *session) authenticate(key []byte) (bool, error) {
	_, err := s.yk.GenerateKey(key, piv.Slot{}, piv.Key{})
	switch {
	case err == nil:
		return false, &causeError{cause: signer.ErrDevice, err: errors.New("the card generated a key in a slot that does not exist")}
	case isLocal(err) && errors.Unwrap(err) == nil:
		return true, nil // the refusal after a good authentication wraps nothing
	}
	return false, s.fatal(err)
}

// storedKey verifies the PIN and reads the management key that is stored under it;
// nil if there is none.
func (s *session) storedKey(pin string) ([]byte, error) {
	m, err := s.protected(pin)
	if err != nil || m.ManagementKey == nil {
		return nil, err
	}
	return *m.ManagementKey, nil
}

// protected reads the object that only the PIN shows (5FC109).
func (s *session) protected(pin string) (*piv.Metadata, error) {
	m, err := s.yk.Metadata(pin)
	if dead := s.fatal(err); dead != nil {
		return nil, dead
	}
	switch {
	case err == nil:
		return m, nil
	case isLocal(err):
		return nil, &causeError{cause: signer.ErrDevice, err: fmt.Errorf("the object for the management key (5FC109) holds something else: %w", err)}
	}
	return nil, pinError(err)
}
