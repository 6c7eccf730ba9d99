package installer

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Tags of an RPM's header that are read here.
const (
	rpmName, rpmVersion, rpmRelease, rpmArch = 1000, 1001, 1002, 1022
	rpmLead                                  = 96
)

var errRPM = errors.New("it has no readable RPM header")

// readRPM reads the lead, the header of signatures, the header, and the payload.
func readRPM(b *bufio.Reader, each entry) (label, error) {
	l := label{kind: RPM}
	if _, err := b.Discard(rpmLead); err != nil {
		return l, errRPM
	}
	if _, err := readRPMHeader(b, 8); err != nil {
		return l, err
	}
	h, err := readRPMHeader(b, 1)
	if err != nil {
		return l, err
	}
	l.name, l.version, l.arch = h.said(rpmName), h.said(rpmVersion)+"-"+h.said(rpmRelease), h.said(rpmArch)
	return l, readCPIO(b, each)
}

// readRPMHeader reads a header, which ends at a multiple of align.
func readRPMHeader(b *bufio.Reader, align int) (*rpmHeader, error) {
	head := make([]byte, 16)
	if _, err := io.ReadFull(b, head); err != nil || binary.BigEndian.Uint32(head) != 0x8eade801 {
		return nil, errRPM
	}
	entries, length := binary.BigEndian.Uint32(head[8:]), binary.BigEndian.Uint32(head[12:])
	if entries > 1<<16 || length > 32<<20 {
		return nil, fmt.Errorf("%w: it claims %d entries in %d bytes", errRPM, entries, length)
	}
	h := &rpmHeader{bytes: append(head, make([]byte, 16*entries+length)...), index: map[uint32]rpmEntry{}}
	if _, err := io.ReadFull(b, h.bytes[16:]); err != nil {
		return nil, errRPM
	}
	h.data = h.bytes[16+16*entries:]
	list := make([]rpmEntry, entries)
	if _, err := binary.Decode(h.bytes[16:], binary.BigEndian, list); err != nil {
		return nil, errRPM
	}
	for _, e := range list {
		h.index[e.Tag] = e
	}
	if _, err := b.Discard((align - len(h.bytes)%align) % align); err != nil {
		return nil, errRPM
	}
	return h, nil
}

// said is the text of a tag, "" if it has none.
func (h *rpmHeader) said(tag uint32) string {
	e := h.index[tag]
	if e.Type != 6 || uint64(e.Offset) >= uint64(len(h.data)) { // 6 is a string
		return ""
	}
	text, _, _ := bytes.Cut(h.data[e.Offset:], []byte{0})
	return strings.ToValidUTF8(string(text), "?")
}
