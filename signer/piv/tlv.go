//go:build cgo || windows

package piv

import (
	"errors"
	"fmt"
)

// tlv writes one element (ISO 7816-4, section 5.2.2) with a tag of one or two bytes.
func tlv(tag uint16, value ...byte) []byte {
	var b []byte
	if tag > 0xFF {
		b = append(b, byte(tag>>8))
	}
	b = append(b, byte(tag))
	switch n := len(value); {
	case n < 0x80:
		b = append(b, byte(n))
	case n < 0x100:
		b = append(b, 0x81, byte(n))
	default:
		b = append(b, 0x82, byte(n>>8), byte(n))
	}
	return append(b, value...)
}

var errTLV = errors.New("the card's answer is cut short")

// elements reads a list of elements; of those with the same tag the first counts.
func elements(b []byte) (map[uint16][]byte, error) {
	out := map[uint16][]byte{}
	for len(b) > 0 {
		tag, n := uint16(b[0]), 1
		if tag&0x1F == 0x1F && len(b) > 1 {
			tag, n = tag<<8|uint16(b[1]), 2
		}
		value, rest, err := counted(b[n:])
		if err != nil {
			return nil, err
		}
		if _, twice := out[tag]; !twice {
			out[tag] = value
		}
		b = rest
	}
	return out, nil
}

// counted reads a length and as many bytes.
func counted(b []byte) (value, rest []byte, err error) {
	if len(b) == 0 {
		return nil, nil, errTLV
	}
	n, b := int(b[0]), b[1:]
	if n >= 0x80 {
		more := n & 0x7F
		if more == 0 || more > 2 || more > len(b) {
			return nil, nil, errTLV
		}
		n = 0
		for _, x := range b[:more] {
			n = n<<8 | int(x)
		}
		b = b[more:]
	}
	if n > len(b) {
		return nil, nil, errTLV
	}
	return b[:n], b[n:], nil
}

// inside reads the one element that an answer consists of.
func inside(tag uint16, answer []byte) ([]byte, error) {
	list, err := elements(answer)
	if err != nil {
		return nil, err
	}
	value, ok := list[tag]
	if !ok {
		return nil, fmt.Errorf("the card's answer has no element %x", tag)
	}
	return value, nil
}
