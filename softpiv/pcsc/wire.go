package pcsc

import (
	"encoding/binary"
	"errors"
	"io"
)

// A frame is a length (4 bytes, big-endian), then for a request one byte of
// operation, for a reply a PC/SC return code (4 bytes), then fields: numbers of 4
// bytes, and strings with their length in front. stub/pcsclite.c is the other end.
const (
	opEstablish = iota + 1
	opList
	opConnect
	opReconnect
	opDisconnect
	opBegin
	opEnd
	opTransmit
	opStatus
	opChange
	opCancel
	opAttrib
	opControl
	opRelease
)

// Return codes (pcsclite.h).
const (
	rcOK                 uint32 = 0
	rcCancelled          uint32 = 0x80100002
	rcInvalidHandle      uint32 = 0x80100003
	rcInvalidParameter   uint32 = 0x80100004
	rcUnknownReader      uint32 = 0x80100009
	rcTimeout            uint32 = 0x8010000A
	rcSharing            uint32 = 0x8010000B
	rcNoCard             uint32 = 0x8010000C
	rcProtocol           uint32 = 0x8010000F
	rcNotTransacted      uint32 = 0x80100016
	rcUnsupportedFeature uint32 = 0x8010001F
	rcNoReaders          uint32 = 0x8010002E
	rcReset              uint32 = 0x80100068
	rcRemoved            uint32 = 0x80100069
	rcSecurity           uint32 = 0x8010006A
)

// maxFrame bounds a request: the longest extended APDU and some room.
const maxFrame = 1 << 18

var errFrame = errors.New("malformed frame")

// request is one call of the library.
type request struct {
	op   byte
	body []byte
	bad  bool // a field was missing
}

func readRequest(r io.Reader) (*request, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n < 1 || n > maxFrame {
		return nil, errFrame
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, err
	}
	return &request{op: b[0], body: b[1:]}, nil
}

func (r *request) number() uint32 {
	if len(r.body) < 4 {
		r.bad = true
		return 0
	}
	v := binary.BigEndian.Uint32(r.body)
	r.body = r.body[4:]
	return v
}

func (r *request) bytes() []byte {
	n := int(r.number())
	if r.bad || n > len(r.body) {
		r.bad = true
		return nil
	}
	v := r.body[:n]
	r.body = r.body[n:]
	return v
}

// reply is what goes back.
type reply struct {
	rc   uint32
	body []byte
}

func failed(rc uint32) reply { return reply{rc: rc} }

func (r reply) number(v uint32) reply {
	r.body = binary.BigEndian.AppendUint32(r.body, v)
	return r
}

func (r reply) bytes(b []byte) reply {
	r.body = binary.BigEndian.AppendUint32(r.body, uint32(len(b)))
	r.body = append(r.body, b...)
	return r
}

func (r reply) write(w io.Writer) error {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(r.body)+4))
	b = binary.BigEndian.AppendUint32(b, r.rc)
	_, err := w.Write(append(b, r.body...))
	return err
}
