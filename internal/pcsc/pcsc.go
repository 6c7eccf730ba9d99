// Package pcsc is one exclusive connection to a smart card, through the PC/SC service of
// the system: pcsclite on Linux and the BSDs, macOS's framework, winscard.dll. It is the
// smallest binding that serves: connect, send a command and read the answer, give the card
// back. What a command means, it does not know; package signer/piv does, and uses this for
// the commands that go-piv/piv-go has no way to send.
//
//	card, err := pcsc.Connect("Yubico YubiKey OTP+FIDO+CCID 00 00")
//	if err != nil { ... }           // *pcsc.Error has the return code
//	defer card.Close()
//	answer, err := card.Exchange([]byte{0x00, 0xA4, 0x04, 0x00, 0x05, 0xA0, 0x00, 0x00, 0x03, 0x08})
//
// A [Card] is not safe for concurrent use, and a call that is under way cannot be canceled.
// Giving a card back leaves it as it is (SCARD_LEAVE_CARD): it is neither reset nor powered
// off, so whoever connects next may find a PIN still verified.
//
// Linux's library is loaded when a card is first asked for; [Loaded] tells why it cannot be.
// piv-go's calls find it the same way, because this package stands before it.
//
// Builds without cgo have [Error] only, except on Windows, which needs no cgo.
package pcsc

import "fmt"

// Error is a return code of PC/SC other than success.
type Error struct {
	Call string // such as SCardConnect
	Code uint32 // as in pcsclite.h, the same numbers on every system
}

func (e *Error) Error() string {
	if text := meaning(e.Code); text != "" {
		return fmt.Sprintf("%s: %s (0x%08x)", e.Call, text, e.Code)
	}
	return fmt.Sprintf("%s: PC/SC error 0x%08x", e.Call, e.Code)
}

// meaning gives the codes that people meet in words.
func meaning(code uint32) string {
	switch code {
	case 0x8010000B:
		return "another program holds the card"
	case 0x8010000C, 0x80100069:
		return "the card was removed"
	case 0x80100009, 0x80100017:
		return "the reader is not there"
	case 0x8010000F:
		return "the card does not speak the T=1 protocol"
	case 0x8010001D, 0x8010001E:
		return "the service does not run"
	case 0x80100068:
		return "the card was reset"
	case 0x8010006A:
		return "the service refuses this user"
	}
	return ""
}

// failed makes an error of a return code, nil of success.
func failed(call string, code uint32) error {
	if code == 0 {
		return nil
	}
	return &Error{Call: call, Code: code}
}
