package card

import (
	"bytes"
	"encoding/hex"
)

// Data objects with a meaning of their own; the tag in hex.
const (
	objectDiscovery   = "7e"
	objectPrinted     = "5fc109" // on YubiKeys: the PIN-protected management key
	objectFingers     = "5fc103"
	objectFace        = "5fc108"
	objectIris        = "5fc121"
	objectAttestation = "5fff01"
)

// discovery says that the PIV applet has the application PIN and no global one.
func discovery() []byte {
	return tlv(0x7E, append(tlv(0x4F, aidPIV), tlv(0x5F2F, []byte{0x40, 0x00})...))
}

// getData is GET DATA (CB 3FFF): 5C tag; answer 53 { object }.
func (c *Card) getData(cmd command) ([]byte, uint16) {
	if cmd.p1 != 0x3F || cmd.p2 != 0xFF {
		return nil, swParameters
	}
	items, ok := parseTLV(cmd.data)
	if !ok || len(items) != 1 || items[0].tag != 0x5C {
		return nil, swData
	}
	name := hex.EncodeToString(items[0].value)
	switch name {
	case objectDiscovery:
		return discovery(), swOK
	case objectPrinted, objectFingers, objectFace, objectIris:
		if !c.session.verified {
			return nil, swSecurity
		}
	}
	object, found := c.state.Objects[name]
	if !found {
		return nil, swNotFound
	}
	return tlv(0x53, object), swOK
}

// putData is PUT DATA (DB 3FFF): 5C tag, 53 { object }; an empty object deletes.
func (c *Card) putData(cmd command) uint16 {
	if !c.session.authed {
		return swSecurity
	}
	if cmd.p1 != 0x3F || cmd.p2 != 0xFF {
		return swParameters
	}
	items, ok := parseTLV(cmd.data)
	if !ok || len(items) != 2 || items[0].tag != 0x5C || items[1].tag != 0x53 {
		return swData
	}
	tag := items[0].value
	if c.lacks(PrintedObject) && hex.EncodeToString(tag) == objectPrinted {
		return swNotFound
	}
	if len(tag) != 3 || tag[0] != 0x5F {
		return swNotSupported
	}
	name := hex.EncodeToString(tag)
	if len(items[1].value) == 0 {
		delete(c.state.Objects, name)
	} else {
		c.state.Objects[name] = bytes.Clone(items[1].value)
	}
	return c.saved(swOK)
}
