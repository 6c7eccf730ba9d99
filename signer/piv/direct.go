//go:build cgo || windows

package piv

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"

	"github.com/go-piv/piv-go/v2/piv"

	"github.com/fleet-hsm/fleet-hsm/internal/pcsc"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

// Commands (NIST SP 800-73-4, part 2, and Yubico's extensions).
const (
	insVerify        = 0x20
	insChange        = 0x24
	insGenerate      = 0x47
	insAuthenticate  = 0x87
	insReadConfig    = 0x1D // management applet
	insOTP           = 0x01 // OTP applet
	insSelect        = 0xA4
	insGetResponse   = 0xC0
	insGetData       = 0xCB
	insPutData       = 0xDB
	insGetMetadata   = 0xF7
	insGetSerial     = 0xF8
	insAttest        = 0xF9
	insSetRetries    = 0xFA
	insSetManagement = 0xFF
)

// References in P2.
const (
	refPIN        = 0x80
	refPUK        = 0x81
	refManagement = 0x9B
)

// Applets, by the beginning of their names.
func aidPIV() []byte        { return []byte{0xA0, 0x00, 0x00, 0x03, 0x08} }
func aidManagement() []byte { return []byte{0xA0, 0x00, 0x00, 0x05, 0x27, 0x47, 0x11, 0x17} }
func aidOTP() []byte        { return []byte{0xA0, 0x00, 0x00, 0x05, 0x27, 0x20, 0x01, 0x01} }

// direct is a connection of our own to the card. piv-go v2.6.0 decides by the firmware
// number which kind of management key a card has, which one it may be given, and what
// GENERATE says of policies; it tells what GET METADATA says of keys in slots only, and
// falls over where a card answers with less than it expects. Cards of other vendors carry
// YubiKey's numbers without being one. piv-go sends no other commands than its own, so what
// needs another goes over this.
//
// A card may forget between two connections what was proven to it, and another program may
// have been there. So whatever belongs together happens in one: VERIFY and the object that
// the PIN opens, the management key and what it allows.
type direct struct {
	s    *session
	conn *pcsc.Card
}

func (d *direct) ctxErr() error { return d.s.ctxErr() }

func (d *direct) touch() { d.s.touch() }

// direct gives piv-go's connection back and runs f with one of our own, to the same card.
// reopen goes back to piv-go.
func (s *session) direct(c card, f func(*direct) error) error {
	s.leave()
	conn, err := connect(s.ctx, s.b.opts.BusyFor, func() (*pcsc.Card, error) { return pcsc.Connect(s.reader) })
	if err != nil {
		return directError(s.reader, err)
	}
	defer func() { _ = conn.Close() }() // the card may be gone
	if err := s.ctxErr(); err != nil {
		return err
	}
	d := &direct{s: s, conn: conn}
	if err := d.checkSameCard(c); err != nil {
		return err
	}
	return f(d)
}

func directError(reader string, err error) error {
	if errors.Is(err, errStopped) {
		return err
	}
	if causeOf(err) == signer.ErrNoToken && pcscCode(err) != codeNotTransacted {
		return &absentError{err: classify(err)}
	}
	return classify(fmt.Errorf("reader %q: %w", reader, err))
}

// reopen connects piv-go again, to the same card.
func (s *session) reopen(c card) error {
	s.leave()
	yk, err := s.b.connect(s.ctx, s.reader, s.b.opts.BusyFor)
	if err != nil {
		return err
	}
	s.yk = yk
	now, err := s.identify()
	if err == nil && now.id() != c.id() {
		err = otherCard(now)
	}
	return err
}

// leave gives piv-go's connection back. The card keeps what it knows, or does not.
func (s *session) leave() {
	if s.yk != nil {
		_ = s.yk.Close() // the card may be gone
		s.yk = nil
	}
}

// otherCard: no PIN and no key of this card goes to another one.
func otherCard(now card) error {
	return &absentError{err: &causeError{cause: signer.ErrNoToken, err: fmt.Errorf("%s is in the reader instead", now)}}
}

// checkSameCard selects the PIV applet and makes sure that this is the card of before, if it has
// a serial number: between two connections somebody may have put another one there.
func (d *direct) checkSameCard(c card) error {
	now := card{reader: d.s.reader, version: c.version, yubikey: c.yubikey}
	if c.serial != "" {
		n, err := d.serial(c)
		if err != nil {
			return classify(err)
		}
		now.serial = n
	}
	if c.serial == "" || c.before(5, 0, 0) {
		if _, err := d.transmit(insSelect, 4, 0, aidPIV()); err != nil {
			return classify(fmt.Errorf("selecting the PIV application: %w", err))
		}
	}
	if now.id() != c.id() {
		return otherCard(now)
	}
	return nil
}

// serial asks for the serial number; before firmware 5 it is the OTP applet's.
func (d *direct) serial(c card) (string, error) {
	aid, ins, p1 := aidPIV(), byte(insGetSerial), byte(0)
	if c.before(5, 0, 0) {
		aid, ins, p1 = aidOTP(), insOTP, 0x10
	}
	if _, err := d.transmit(insSelect, 4, 0, aid); err != nil {
		return "", err
	}
	answer, err := d.transmit(ins, p1, 0, nil)
	if err != nil {
		return "", err
	}
	if len(answer) != 4 {
		return "", fmt.Errorf("a serial number of %d bytes", len(answer))
	}
	return strconv.FormatUint(uint64(binary.BigEndian.Uint32(answer)), 10), nil
}

// transmit sends one command, in pieces if it is long (ISO 7816-4, section 5.1.1), and
// gives the data of its answer; status(err) is the status word of a refusal.
func (d *direct) transmit(ins, p1, p2 byte, data []byte) ([]byte, error) {
	const most = 0xFF
	for ; len(data) > most; data = data[most:] {
		if _, _, err := d.send(0x10, ins, p1, p2, data[:most]); err != nil {
			return nil, err
		}
	}
	answer, more, err := d.send(0, ins, p1, p2, data)
	for more && err == nil {
		var rest []byte
		rest, more, err = d.send(0, insGetResponse, 0, 0, nil)
		answer = append(answer, rest...)
	}
	if err != nil {
		return nil, err
	}
	return answer, nil
}

// send is one exchange; more tells that the card has more to say.
func (d *direct) send(class, ins, p1, p2 byte, data []byte) (answer []byte, more bool, err error) {
	answer, err = d.conn.Exchange(append([]byte{class, ins, p1, p2, byte(len(data))}, data...))
	if err != nil {
		return nil, false, err
	}
	n := len(answer) - 2
	if n < 0 {
		return nil, false, &causeError{cause: signer.ErrDevice, err: errors.New("an answer without a status word")}
	}
	switch sw := binary.BigEndian.Uint16(answer[n:]); {
	case sw == 0x9000:
		return answer[:n], false, nil
	case sw>>8 == 0x61:
		return answer[:n], true, nil
	default:
		return nil, false, refusal(sw)
	}
}

// fatal is the error of a card or daemon that is gone or broken, nil for a refusal and for
// an answer that cannot be read.
func (d *direct) fatal(err error) error {
	if pcscCode(err) != 0 || typed(err) {
		return classify(err)
	}
	return nil
}

// refusal is the status word of a command that the card did not carry out. It wraps what
// piv-go's wraps.
type refusal uint16

// Status gives the status word.
func (r refusal) Status() uint16 { return uint16(r) }

func (r refusal) Error() string {
	text := fmt.Sprintf("smart card error %04x", uint16(r))
	if why := r.why(); why != "" {
		text += ": " + why
	}
	return text
}

func (r refusal) why() string {
	switch r {
	case statusNotSatisfied:
		return "security status not satisfied"
	case statusBlocked:
		return "authentication method blocked"
	case statusWrongData:
		return "incorrect parameter in command data field"
	case statusNoFunction:
		return "function not supported"
	case statusWrongP1P2:
		return "incorrect parameter in P1 or P2"
	}
	if err := r.Unwrap(); err != nil {
		return err.Error()
	}
	return ""
}

func (r refusal) Unwrap() error {
	switch {
	case r == statusNoObject, r == statusNoReference:
		return piv.ErrNotFound
	case r == statusBlocked:
		return piv.AuthErr{}
	case r&0xFFF0 == 0x63C0, r&0xFFF0 == 0x6300: // the latter on some YubiKeys before 5
		return piv.AuthErr{Retries: int(r & 0xF)}
	}
	return nil
}
