package card

import "bytes"

// metadata is Yubico's GET METADATA (F7, firmware 5.3): what a key is, or whether
// PIN, PUK and management key are still the factory ones.
func (c *Card) metadata(cmd command) ([]byte, uint16) {
	if cmd.p1 != 0 {
		return nil, swParameters
	}
	switch cmd.p2 {
	case refPIN:
		return secretMetadata(c.state.PIN, factoryPIN), swOK
	case refPUK:
		return secretMetadata(c.state.PUK, factoryPUK), swOK
	case refManagement:
		if c.has(BlankManagement) {
			return nil, swOK
		}
		return c.managementMetadata(), swOK
	}
	s := c.slotOf(cmd.p2)
	if s == nil && c.has(EmptyMetadata) {
		return emptyMetadata(cmd.p2), swOK
	}
	if s == nil {
		return nil, swNoReference
	}
	b := tlv(0x01, []byte{s.Algorithm})
	b = append(b, tlv(0x02, []byte{s.PIN, s.Touch})...)
	b = append(b, tlv(0x03, []byte{s.Origin})...)
	return append(b, tlv(0x04, encodePublic(s.key))...), swOK
}

// emptyMetadata is what PivApplet says of a slot without a key: no algorithm, the default
// policies, origin 0, no public key.
func emptyMetadata(ref byte) []byte {
	b := tlv(0x01, []byte{0})
	b = append(b, tlv(0x02, []byte{defaultPIN(ref), touchNever})...)
	return append(b, tlv(0x03, []byte{0})...)
}

// secretMetadata: 01 FF, 05 is it the factory one, 06 tries in all and left.
func secretMetadata(s secret, factory string) []byte {
	b := tlv(0x01, []byte{0xFF})
	b = append(b, tlv(0x05, flag(bytes.Equal(s.Value, padPIN(factory))))...)
	return append(b, tlv(0x06, []byte{byte(s.Max), byte(s.Left)})...)
}

func (c *Card) managementMetadata() []byte {
	m := c.state.Management
	touch := byte(touchNever)
	if m.Touch {
		touch = touchAlways
	}
	b := tlv(0x01, []byte{m.Type})
	b = append(b, tlv(0x02, []byte{0x00, touch})...)
	return append(b, tlv(0x05, flag(bytes.Equal(m.Key, factoryManagementKey())))...)
}

func flag(yes bool) []byte {
	if yes {
		return []byte{1}
	}
	return []byte{0}
}
