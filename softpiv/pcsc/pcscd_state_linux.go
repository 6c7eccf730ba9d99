package pcsc

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"time"
)

// What libpcsclite says to its daemon (pcsc-lite, src/winscard_msg.h and
// src/eventhandler.h; Debian 12 has protocol 4.4). All numbers are the host's.
const (
	cmdReaderStates = 0x12
	stateCount      = 16  // readers in an answer, empty places among them
	stateSize       = 184 // bytes of one: name, event counter, state, sharing, ATR, its length, protocol
	stateName       = 128 // bytes of the name, ended by a zero
)

// Settled returns when the daemon has noticed which cards are there and which are
// not. It looks at each slot every 400 ms; a program that asks earlier is told what
// was.
func (d *Daemon) Settled() error {
	limit := time.NewTimer(startLimit)
	defer limit.Stop()
	for _, v := range d.cards {
		if err := d.until(v.reader, v.is, limit.C); err != nil {
			return fmt.Errorf("card %d: %w", v.card.Serial(), err)
		}
	}
	return nil
}

// until waits until good likes what the daemon believes of a slot: that a card is
// there, or that none is. limit may be nil.
func (d *Daemon) until(reader string, good func(believed bool) bool, limit <-chan time.Time) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		believed, err := d.believes(reader)
		if err == nil && good(believed) {
			return nil
		}
		select {
		case <-tick.C:
		case <-d.done:
			return net.ErrClosed
		case <-d.exited:
			return fmt.Errorf("pcscd ended:\n%s", d.logged())
		case <-limit:
			return fmt.Errorf("pcscd did not see it come or go in reader %q within %v (%v):\n%s", reader, startLimit, err, d.logged())
		}
	}
}

// believes reports whether the daemon's watch over a slot believes that a card is
// there. The state that programs see is no measure: a reset that fails, because the
// card is gone, turns it to absent, and the watch, which still believes in the card,
// then never tells that one came. Its counter goes up by one at each arrival and each
// departure, so that it is odd while a card is there.
func (d *Daemon) believes(reader string) (bool, error) {
	states, err := d.states()
	if err != nil {
		return false, err
	}
	for ; len(states) >= stateSize; states = states[stateSize:] {
		name, _, _ := bytes.Cut(states[:stateName], []byte{0})
		if string(name) == reader {
			return binary.NativeEndian.Uint32(states[stateName:])%2 == 1, nil
		}
	}
	return false, fmt.Errorf("pcscd has no reader %q", reader)
}

// states asks the daemon for all its readers.
func (d *Daemon) states() ([]byte, error) {
	conn, err := net.Dial("unix", d.Socket())
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(startLimit)); err != nil {
		return nil, err
	}
	ask := binary.NativeEndian.AppendUint32(nil, 0) // bytes that follow
	ask = binary.NativeEndian.AppendUint32(ask, cmdReaderStates)
	if _, err := conn.Write(ask); err != nil {
		return nil, err
	}
	states := make([]byte, stateCount*stateSize)
	_, err = io.ReadFull(conn, states)
	return states, err
}
