//go:build cgo || windows

package piv

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/go-piv/piv-go/v2/piv"

	"github.com/fleet-hsm/fleet-hsm/signer"
)

// slotOf gives the slot that a URI names.
func slotOf(u signer.URI) (piv.Slot, error) {
	name, ok := u.Attr("slot")
	if !ok {
		return piv.Slot{}, &signer.URIError{URI: u.String(), Reason: "no slot; a key on a card is named like piv:serial=15835999;slot=9c"}
	}
	for _, s := range allSlots() {
		if s.String() == strings.ToLower(name) {
			return s, nil
		}
	}
	return piv.Slot{}, &signer.URIError{URI: u.String(), Reason: fmt.Sprintf("slot %q is none of 9a, 9c, 9d, 9e, 82 to 95", name)}
}

// allSlots lists the slots for keys, the one for signatures first.
func allSlots() []piv.Slot {
	slots := []piv.Slot{piv.SlotSignature, piv.SlotAuthentication, piv.SlotKeyManagement, piv.SlotCardAuthentication}
	for k := uint32(0x82); k <= 0x95; k++ {
		if s, ok := piv.RetiredKeyManagementSlot(k); ok {
			slots = append(slots, s)
		}
	}
	return slots
}

// card is a card that was seen in a reader.
type card struct {
	reader  string
	serial  string // "" if the card has none
	version version
	// yubikey: the reader's name says so. Versions of other cards mean nothing.
	yubikey bool
}

func isYubiKey(reader string) bool { return strings.Contains(strings.ToLower(reader), "yubikey") }

// id tells one card from another during one command.
func (c card) id() string {
	if c.serial != "" {
		return "serial " + c.serial
	}
	return "reader " + c.reader
}

// String names the card for people.
func (c card) String() string {
	switch {
	case c.yubikey && c.serial != "":
		return "YubiKey " + c.serial
	case c.serial != "":
		return fmt.Sprintf("card %s in reader %q", c.serial, c.reader)
	}
	return fmt.Sprintf("card in reader %q", c.reader)
}

// pinNote is what people mix up at the question for a PIN: a YubiKey has two.
func (c card) pinNote() string {
	if !c.yubikey {
		return ""
	}
	return "This is not the FIDO2 PIN."
}

func (c card) firmware() string {
	return c.version.String()
}

// before reports whether the card is a YubiKey with older firmware.
func (c card) before(major, minor, patch int) bool {
	return c.yubikey && c.version.before(version{major, minor, patch})
}

// uri names a slot of the card. A URI that named the reader goes on doing so.
func (c card) uri(from signer.URI, slot string) signer.URI {
	u := from
	if u.IsZero() {
		u = kind.URI()
	}
	_, byReader := u.Attr("reader")
	switch {
	case c.yubikey && c.serial != "" && !byReader:
		u = u.With("serial", c.serial)
	case !byReader:
		u = u.With("reader", c.reader)
	}
	if slot != "" {
		u = u.With("slot", slot)
	}
	return u
}

// deviceOf names a card that is absent.
func deviceOf(u signer.URI) string {
	if s, ok := u.Attr("serial"); ok {
		return "YubiKey " + s
	}
	if r, ok := u.Attr("reader"); ok {
		return fmt.Sprintf("card in reader %q", r)
	}
	return "YubiKey"
}

// sameSerial compares serial numbers as numbers: people copy leading zeros.
func sameSerial(a, b string) bool {
	x, err1 := strconv.ParseUint(a, 10, 64)
	y, err2 := strconv.ParseUint(b, 10, 64)
	return err1 == nil && err2 == nil && x == y
}
