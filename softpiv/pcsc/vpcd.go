package pcsc

import (
	"encoding/binary"
	"io"
	"net"
	"sync"

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
	card *card.Card
	dial func() (net.Conn, error)
	up   chan struct{} // closed when the daemon first asked for the ATR
	once sync.Once
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
		v.once.Do(func() { close(v.up) })
		return send(conn, v.card.ATR())
	}
	return true
}

func send(conn net.Conn, b []byte) bool {
	_, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...))
	return err == nil
}
