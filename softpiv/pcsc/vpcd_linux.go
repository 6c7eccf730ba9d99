package pcsc

import (
	"encoding/binary"
	"io"
	"net"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/fleet-hsm/fleet-hsm/softpiv/card"
)

// Control bytes of vpcd (vsmartcard, virtualsmartcard/src/vpcd/vpcd.h).
const (
	vpcdOff   = 0x00
	vpcdOn    = 0x01
	vpcdReset = 0x02
	vpcdATR   = 0x04
)

// socketCard is a card in one slot of vpcd: while it is plugged in there is a
// connection, which is how vpcd sees that a card is there.
type socketCard struct {
	card   *card.Card
	reader string // the daemon's name for the slot
	dial   func() (net.Conn, error)
	stay   atomic.Uint64 // the card's Arrivals when it was plugged in last
}

// is reports whether what the daemon believes of the slot is so. That a card is there
// counts only for this stay of the card, not for an earlier one.
func (v *socketCard) is(believed bool) bool {
	if !v.card.Present() {
		return !believed
	}
	return believed && v.stay.Load() == v.card.Arrivals()
}

// run keeps the card plugged in whenever it is present, until done.
func (v *socketCard) run(done <-chan struct{}) {
	for {
		changed := v.card.Changed()
		if v.card.Present() {
			v.plug(done)
			select {
			case <-done:
				return
			default:
				continue
			}
		}
		select {
		case <-changed:
		case <-done:
			return
		}
	}
}

// plug connects and serves until the card is pulled out, reset by others or done.
func (v *socketCard) plug(done <-chan struct{}) {
	arrivals := v.card.Arrivals()
	conn, err := v.dial()
	if err != nil {
		return
	}
	v.stay.Store(arrivals)
	defer func() { _ = conn.Close() }()
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		v.hangUp(conn, arrivals, stop, done)
	}()
	for v.answer(conn) {
	}
}

// hangUp closes the connection when this stay of the card ends.
func (v *socketCard) hangUp(conn net.Conn, arrivals uint64, stop, done <-chan struct{}) {
	defer func() { _ = conn.Close() }()
	for {
		changed := v.card.Changed()
		if v.card.Arrivals() != arrivals {
			return
		}
		select {
		case <-changed:
		case <-stop:
			return
		case <-done:
			return
		}
	}
}

// answer serves one message: 2 bytes of length, then a control byte or an APDU.
// False ends the connection.
func (v *socketCard) answer(conn net.Conn) bool {
	var head [2]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return false
	}
	quickAck(conn)
	b := make([]byte, binary.BigEndian.Uint16(head[:]))
	if _, err := io.ReadFull(conn, b); err != nil {
		return false
	}
	if len(b) != 1 {
		out, err := v.card.Exchange(b)
		return err == nil && send(conn, out)
	}
	switch b[0] {
	case vpcdOff, vpcdOn:
		v.card.PowerOff()
	case vpcdReset:
		v.card.Reset()
	case vpcdATR:
		return send(conn, v.card.ATR())
	}
	return true
}

// quickAck acknowledges what has arrived: vpcd writes length and body apart, and with
// Nagle's algorithm the body waits for that, 40 ms for every command.
func quickAck(conn net.Conn) {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1)
	})
}

func send(conn net.Conn, b []byte) bool {
	_, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...))
	return err == nil
}
