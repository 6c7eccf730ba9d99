package pcsc

import (
	"bytes"
	"crypto/aes"
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/softpiv/card"
)

// program is a client of the server, as the stand-in library is: one context.
type program struct {
	t    *testing.T
	conn net.Conn
	id   uint32
}

// field is the argument or result of a call: uint32 or []byte.
type field any

func connect(t *testing.T, s *Server) *program {
	t.Helper()
	conn, err := net.Dial("unix", s.Socket())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	p := &program{t: t, conn: conn}
	r := p.want(rcOK, opEstablish)
	p.id = r.number()
	return p
}

// call sends one frame and reads the reply.
func (p *program) call(op byte, fields ...field) (uint32, *request) {
	p.t.Helper()
	p.start(op, fields...)
	return p.finish()
}

func (p *program) start(op byte, fields ...field) {
	p.t.Helper()
	body := []byte{op}
	for _, f := range fields {
		switch v := f.(type) {
		case uint32:
			body = binary.BigEndian.AppendUint32(body, v)
		case []byte:
			body = append(binary.BigEndian.AppendUint32(body, uint32(len(v))), v...)
		default:
			p.t.Fatalf("field %T", f)
		}
	}
	if _, err := p.conn.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)); err != nil {
		p.t.Fatal(err)
	}
}

func (p *program) finish() (uint32, *request) {
	p.t.Helper()
	var head [4]byte
	if _, err := io.ReadFull(p.conn, head[:]); err != nil {
		p.t.Fatal(err)
	}
	b := make([]byte, binary.BigEndian.Uint32(head[:]))
	if _, err := io.ReadFull(p.conn, b); err != nil {
		p.t.Fatal(err)
	}
	r := &request{body: b}
	return r.number(), r
}

func (p *program) want(rc uint32, op byte, fields ...field) *request {
	p.t.Helper()
	got, r := p.call(op, fields...)
	if got != rc {
		p.t.Fatalf("operation %d: %08x, want %08x", op, got, rc)
	}
	return r
}

// open connects to a reader for T=0 or T=1.
func (p *program) open(reader string, share uint32) uint32 {
	p.t.Helper()
	return p.want(rcOK, opConnect, []byte(reader), share, uint32(protocolT0|protocolT1)).number()
}

func (p *program) transmit(rc, h uint32) []byte {
	p.t.Helper()
	return p.want(rc, opTransmit, h, []byte{0, 0xFD, 0, 0, 0}).bytes()
}

// bench is a server with one card.
func bench(t *testing.T, cfg card.Config) (*Server, *card.Card, string) {
	t.Helper()
	c, err := card.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Serve(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, c, s.Readers()[0]
}

func TestSharing(t *testing.T) {
	t.Parallel()
	s, _, reader := bench(t, card.Config{})
	a, b := connect(t, s), connect(t, s)
	h := a.open(reader, shareExclusive)
	b.want(rcSharing, opConnect, []byte(reader), uint32(shareExclusive), uint32(protocolT1))
	b.want(rcSharing, opConnect, []byte(reader), uint32(shareShared), uint32(protocolT1))
	b.want(rcInvalidHandle, opTransmit, h, []byte{0, 0, 0, 0})
	a.want(rcOK, opDisconnect, h, leaveCard)
	a.want(rcInvalidHandle, opTransmit, h, []byte{0, 0, 0, 0})
	first, second := a.open(reader, shareShared), b.open(reader, shareShared)
	b.want(rcSharing, opReconnect, second, uint32(shareExclusive), uint32(protocolT1), leaveCard)
	a.transmit(rcOK, first)
	b.transmit(rcOK, second)
	b.want(rcUnknownReader, opConnect, []byte("no such reader"), uint32(shareShared), uint32(protocolT1))
}

func TestTransactions(t *testing.T) {
	t.Parallel()
	s, _, reader := bench(t, card.Config{})
	a, b := connect(t, s), connect(t, s)
	ha, hb := a.open(reader, shareShared), b.open(reader, shareShared)
	a.want(rcOK, opBegin, ha)
	a.want(rcOK, opBegin, ha) // nested
	b.transmit(rcSharing, hb)
	b.want(rcNotTransacted, opEnd, hb, leaveCard)
	b.start(opBegin, hb) // waits
	a.want(rcOK, opEnd, ha, leaveCard)
	a.transmit(rcOK, ha)
	a.want(rcOK, opEnd, ha, leaveCard)
	if rc, _ := b.finish(); rc != rcOK {
		t.Errorf("transaction after waiting: %08x", rc)
	}
	a.transmit(rcSharing, ha)
	b.want(rcOK, opDisconnect, hb, leaveCard)
	a.transmit(rcOK, ha)
}

// TestDeath: what a program leaves behind when it dies is cleaned up; a card under a
// transaction is reset.
func TestDeath(t *testing.T) {
	t.Parallel()
	s, c, reader := bench(t, card.Config{})
	a, b := connect(t, s), connect(t, s)
	ha, hb := a.open(reader, shareShared), b.open(reader, shareShared)
	a.want(rcOK, opBegin, ha)
	a.want(rcOK, opTransmit, ha, []byte{0, 0xA4, 4, 0, 5, 0xA0, 0, 0, 3, 8})
	changed := c.Changed()
	_ = a.conn.Close()
	<-changed
	// A call may still come before the server has marked the reset; it waits here.
	b.want(rcReset, opBegin, hb)
	b.transmit(rcReset, hb)
	b.want(rcOK, opReconnect, hb, uint32(shareExclusive), uint32(protocolT1), leaveCard)
	b.transmit(rcOK, hb)
}

func TestResetByAnother(t *testing.T) {
	t.Parallel()
	s, c, reader := bench(t, card.Config{})
	a, b := connect(t, s), connect(t, s)
	ha, hb := a.open(reader, shareShared), b.open(reader, shareShared)
	a.want(rcOK, opDisconnect, ha, resetCard)
	b.transmit(rcReset, hb)
	b.want(rcReset, opStatus, hb)
	b.want(rcOK, opReconnect, hb, uint32(shareShared), uint32(protocolT1), leaveCard)
	b.transmit(rcOK, hb)
	c.ResetAfter(0)
	b.transmit(rcReset, hb)
	b.transmit(rcReset, hb)
	b.want(rcOK, opReconnect, hb, uint32(shareShared), uint32(protocolT1), leaveCard)
	b.transmit(rcOK, hb)
}

func TestRemovedCard(t *testing.T) {
	t.Parallel()
	for _, other := range []bool{false, true} {
		s, c, reader := bench(t, card.Config{OtherVendor: other})
		a := connect(t, s)
		h := a.open(reader, shareExclusive)
		c.RemoveAfter(1)
		a.transmit(rcOK, h)
		a.transmit(rcRemoved, h)
		a.want(rcRemoved, opBegin, h)
		a.want(rcRemoved, opStatus, h)
		if other { // the reader stays, empty
			a.want(rcNoCard, opConnect, []byte(reader), uint32(shareShared), uint32(protocolT1))
			a.want(rcOK, opList)
		} else {
			a.want(rcUnknownReader, opConnect, []byte(reader), uint32(shareShared), uint32(protocolT1))
			a.want(rcNoReaders, opList)
		}
		c.Insert()
		a.transmit(rcRemoved, h) // another stay of the card
		fresh := a.open(reader, shareExclusive)
		a.transmit(rcOK, fresh)
	}
}

func TestProtocols(t *testing.T) {
	t.Parallel()
	s, _, reader := bench(t, card.Config{T0Only: true})
	a := connect(t, s)
	a.want(rcProtocol, opConnect, []byte(reader), uint32(shareShared), uint32(protocolT1))
	r := a.want(rcOK, opConnect, []byte(reader), uint32(shareShared), uint32(protocolT0|protocolT1))
	if _, protocol := r.number(), r.number(); protocol != protocolT0 {
		t.Errorf("protocol %d", protocol)
	}
}

func TestBusy(t *testing.T) {
	t.Parallel()
	s, c, reader := bench(t, card.Config{})
	c.SetBusy(2)
	a := connect(t, s)
	for _, rc := range []uint32{rcSharing, rcSharing, rcOK} {
		a.want(rc, opConnect, []byte(reader), uint32(shareExclusive), uint32(protocolT1))
	}
}

// TestStatusChange: the events of a card that goes and comes, and a cancelled wait.
func TestStatusChange(t *testing.T) {
	t.Parallel()
	s, c, reader := bench(t, card.Config{})
	a := connect(t, s)
	ask := func(timeout, known uint32) []field { return []field{timeout, uint32(1), []byte(reader), known} }
	r := a.want(rcOK, opChange, ask(0, 0)...)
	known := r.number()
	if known&(eventPresent|eventChanged) != eventPresent|eventChanged || len(r.bytes()) == 0 {
		t.Fatalf("first state %x", known)
	}
	a.want(rcTimeout, opChange, ask(0, known)...)
	a.start(opChange, ask(infinite, known)...)
	c.Remove()
	rc, r := a.finish()
	if state := r.number(); rc != rcOK || state != eventUnknown|eventChanged {
		t.Fatalf("after removal: %08x, state %x", rc, state)
	}
	a.start(opChange, ask(infinite, eventUnknown)...)
	c.Insert()
	rc, r = a.finish()
	known = r.number()
	if rc != rcOK || known&eventPresent == 0 || known>>16 != 2 {
		t.Fatalf("after insertion: %08x, state %x", rc, known)
	}
	a.start(opChange, ask(infinite, known)...)
	b := connect(t, s)
	// Cancel only ends a wait that has begun: repeat until it does.
	done := make(chan uint32)
	go func() {
		rc, _ := a.finish()
		done <- rc
	}()
	for {
		b.want(rcOK, opCancel, a.id)
		select {
		case rc := <-done:
			if rc != rcCancelled {
				t.Errorf("cancelled wait: %08x", rc)
			}
			return
		default:
		}
	}
}

// TestCloseWhileBlinking: a server ends at once although a command waits for a touch.
func TestCloseWhileBlinking(t *testing.T) {
	t.Parallel()
	waiting := make(chan byte, 1)
	s, c, reader := bench(t, card.Config{TouchTimeout: time.Hour, OnTouch: func(slot byte) { waiting <- slot }})
	a := connect(t, s)
	h := a.open(reader, shareExclusive)
	a.want(rcOK, opTransmit, h, []byte{0, 0xA4, 4, 0, 5, 0xA0, 0, 0, 3, 8})
	// A management key that wants a touch, by mutual authentication with the factory's.
	authenticate(t, a, h)
	key := []byte{1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8}
	a.want(rcOK, opTransmit, h, append([]byte{0, 0xFF, 0xFF, 0xFE, 27, 0x0A, 0x9B, 24}, key...))
	c.SetTouch(card.TouchNobody, 0)
	a.start(opTransmit, h, response(t, a, h))
	<-waiting
	if err := s.Close(); err != nil { // would wait an hour
		t.Error(err)
	}
}

// authenticate proves the factory management key.
func authenticate(t *testing.T, a *program, h uint32) {
	t.Helper()
	out := a.want(rcOK, opTransmit, h, response(t, a, h)).bytes()
	if !bytes.Equal(out, []byte{0x90, 0}) {
		t.Fatalf("authentication: %x", out)
	}
}

// response asks for a challenge and builds the command that answers it.
func response(t *testing.T, a *program, h uint32) []byte {
	t.Helper()
	block, err := aes.NewCipher([]byte{1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8})
	if err != nil {
		t.Fatal(err)
	}
	challenge := a.want(rcOK, opTransmit, h, []byte{0, 0x87, 0x0A, 0x9B, 4, 0x7C, 2, 0x81, 0}).bytes()
	out := make([]byte, 16)
	block.Encrypt(out, challenge[4:20])
	return append([]byte{0, 0x87, 0x0A, 0x9B, 20, 0x7C, 18, 0x82, 16}, out...)
}

// TestNewReader: a program that waits for readers learns of one.
func TestNewReader(t *testing.T) {
	t.Parallel()
	s, _, _ := bench(t, card.Config{})
	second, err := card.New(card.Config{})
	if err != nil {
		t.Fatal(err)
	}
	name := s.Plug(second)
	if got := s.Readers(); len(got) != 2 || got[1] != name || got[0] == name {
		t.Errorf("readers %q", got)
	}
}

// TestMalformed: frames that end early are refused, not obeyed.
func TestMalformed(t *testing.T) {
	t.Parallel()
	s, _, reader := bench(t, card.Config{})
	a := connect(t, s)
	a.want(rcInvalidParameter, opConnect, []byte(reader))
	a.want(rcInvalidParameter, opChange, uint32(0), uint32(9), []byte(reader))
	a.want(rcInvalidHandle, opTransmit)
	a.want(rcInvalidHandle, 99, uint32(1))
	b := &program{t: t, conn: a.conn}
	b.want(rcInvalidHandle, opCancel, uint32(4711))
}
