package card

import "encoding/binary"

// item is one element of a BER-TLV list.
type item struct {
	tag   uint32
	value []byte
}

// tlv encodes one element; lengths as ISO 7816-4 writes them (up to 65535).
func tlv(tag uint32, value []byte) []byte {
	var b []byte
	for shift := 24; shift >= 0; shift -= 8 {
		if t := byte(tag >> shift); t != 0 || len(b) > 0 || shift == 0 {
			b = append(b, t)
		}
	}
	switch n := len(value); {
	case n < 0x80:
		b = append(b, byte(n))
	case n < 0x100:
		b = append(b, 0x81, byte(n))
	default:
		b = binary.BigEndian.AppendUint16(append(b, 0x82), uint16(n))
	}
	return append(b, value...)
}

// parseTLV splits a list of elements.
func parseTLV(b []byte) ([]item, bool) {
	var items []item
	for len(b) > 0 {
		tag, rest, ok := parseTag(b)
		if !ok {
			return nil, false
		}
		n, rest, ok := parseLength(rest)
		if !ok || n > len(rest) {
			return nil, false
		}
		items = append(items, item{tag: tag, value: rest[:n]})
		b = rest[n:]
	}
	return items, true
}

// parseTag reads a tag of one to three bytes.
func parseTag(b []byte) (tag uint32, rest []byte, ok bool) {
	tag, b = uint32(b[0]), b[1:]
	if tag&0x1F != 0x1F {
		return tag, b, true
	}
	for range 2 {
		if len(b) == 0 {
			return 0, nil, false
		}
		last := b[0]
		tag, b = tag<<8|uint32(last), b[1:]
		if last&0x80 == 0 {
			return tag, b, true
		}
	}
	return 0, nil, false
}

func parseLength(b []byte) (n int, rest []byte, ok bool) {
	if len(b) == 0 {
		return 0, nil, false
	}
	first, b := b[0], b[1:]
	switch {
	case first < 0x80:
		return int(first), b, true
	case first == 0x81 && len(b) >= 1:
		return int(b[0]), b[1:], true
	case first == 0x82 && len(b) >= 2:
		return int(binary.BigEndian.Uint16(b)), b[2:], true
	}
	return 0, nil, false
}

// find gives the value of the first element with a tag.
func find(items []item, tag uint32) ([]byte, bool) {
	for _, it := range items {
		if it.tag == tag {
			return it.value, true
		}
	}
	return nil, false
}

// findByte gives a value that must be one byte long, or def if it is absent.
func findByte(items []item, tag uint32, def byte) (byte, bool) {
	v, found := find(items, tag)
	if !found {
		return def, true
	}
	if len(v) != 1 {
		return 0, false
	}
	return v[0], true
}
