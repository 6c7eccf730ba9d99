package card

import (
	"crypto/x509"
	"fmt"
)

// Policies and origins, as metadata and attestations write them.
const (
	pinNever     = 0x01
	pinOnce      = 0x02
	pinAlways    = 0x03
	touchNever   = 0x01
	touchAlways  = 0x02
	touchCached  = 0x03
	fromCard     = 0x01
	fromOutside  = 0x02
	tagAlgorithm = 0x80
	tagPIN       = 0xAA
	tagTouch     = 0xAB
)

// Slots with a name of their own; 82 to 95 are the retired key management slots.
const (
	slotAuthentication     = 0x9A
	slotSignature          = 0x9C
	slotKeyManagement      = 0x9D
	slotCardAuthentication = 0x9E
	slotAttestation        = 0xF9
)

// slot is a key and what it demands before it is used.
type slot struct {
	Algorithm byte
	PKCS8     []byte
	PIN       byte
	Touch     byte
	Origin    byte

	key any // PKCS8, parsed
}

// isSlot reports whether ref names a place for a key.
func isSlot(ref byte) bool {
	switch ref {
	case slotAuthentication, slotSignature, slotKeyManagement, slotCardAuthentication, slotAttestation:
		return true
	}
	return ref >= 0x82 && ref <= 0x95
}

func slotName(ref byte) string { return fmt.Sprintf("%02x", ref) }

// slotOf gives what a slot holds, or nil.
func (c *Card) slotOf(ref byte) *slot { return c.state.Slots[slotName(ref)] }

// newSlot keeps a key.
func newSlot(alg byte, key any, pin, touch, origin byte) (*slot, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return &slot{Algorithm: alg, PKCS8: der, PIN: pin, Touch: touch, Origin: origin, key: key}, nil
}

// parse restores the key after loading.
func (s *slot) parse() error {
	key, err := x509.ParsePKCS8PrivateKey(s.PKCS8)
	s.key = key
	return err
}

// policies reads the policies of a new key; absent or 0 means the default of the
// slot: PIN always in 9c, never in 9e, once elsewhere, and no touch.
func (c *Card) policies(ref byte, items []item) (pin, touch byte, ok bool) {
	pin, okPIN := findByte(items, tagPIN, 0)
	touch, okTouch := findByte(items, tagTouch, 0)
	if !okPIN || !okTouch || pin > pinAlways || touch > touchCached {
		return 0, 0, false
	}
	if touch == 0 {
		touch = touchNever
	}
	if c.lacks(TouchPolicies) && touch != touchNever {
		return 0, 0, false
	}
	if pin == 0 {
		pin = defaultPIN(ref)
	}
	return pin, touch, true
}

func defaultPIN(ref byte) byte {
	switch ref {
	case slotSignature:
		return pinAlways
	case slotCardAuthentication:
		return pinNever
	}
	return pinOnce
}
