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
	texts, err := readRPMHeader(b, 1)
	if err != nil {
		return l, err
	}
	l.name, l.version, l.arch = texts[rpmName], texts[rpmVersion]+"-"+texts[rpmRelease], texts[rpmArch]
	return l, readCPIO(b, each)
}

// readRPMHeader gives the texts of a header, by tag; it ends at a multiple of align.
func readRPMHeader(b *bufio.Reader, align int) (map[uint32]string, error) {
	var head struct {
		Magic, Reserved, Entries, Bytes uint32
	}
	if err := binary.Read(b, binary.BigEndian, &head); err != nil || head.Magic != 0x8eade801 {
		return nil, errRPM
	}
	if head.Entries > 1<<16 || head.Bytes > 32<<20 {
		return nil, fmt.Errorf("%w: it claims %d entries in %d bytes", errRPM, head.Entries, head.Bytes)
	}
	index := make([]struct{ Tag, Type, Offset, Count uint32 }, head.Entries)
	if err := binary.Read(b, binary.BigEndian, index); err != nil {
		return nil, errRPM
	}
	data := make([]byte, head.Bytes)
	if _, err := io.ReadFull(b, data); err != nil {
		return nil, errRPM
	}
	if _, err := b.Discard((align - len(data)%align) % align); err != nil {
		return nil, errRPM
	}
	texts := map[uint32]string{}
	for _, e := range index {
		if e.Type != 6 || uint64(e.Offset) >= uint64(len(data)) { // 6 is a string
			continue
		}
		text, _, _ := bytes.Cut(data[e.Offset:], []byte{0})
		texts[e.Tag] = strings.ToValidUTF8(string(text), "?")
	}
	return texts, nil
}
