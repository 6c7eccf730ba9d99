package card

// generate is GENERATE ASYMMETRIC KEY PAIR (47): data AC { 80 algorithm, AA PIN
// policy, AB touch policy }, answer 7F49 { public key }. The certificate object of
// the slot stays as it was, as on a real card.
func (c *Card) generate(cmd command) ([]byte, uint16) {
	if !c.session.authed {
		return nil, swSecurity
	}
	if !isSlot(cmd.p2) {
		return nil, swParameters
	}
	items, ok := template(cmd.data, 0xAC)
	if !ok {
		return nil, swData
	}
	alg, ok := findByte(items, tagAlgorithm, 0)
	if !ok || !c.knows(alg) {
		return nil, swData
	}
	pin, touch, ok := c.policies(cmd.p2, items)
	if !ok || c.lacks(PolicyTags) && len(items) > 1 {
		return nil, swData
	}
	s, ok := c.makeKey(alg, pin, touch)
	if !ok {
		return nil, swConditions
	}
	c.state.Slots[slotName(cmd.p2)] = s
	return tlv(0x7F49, encodePublic(s.key)), c.saved(swOK)
}

// makeKey may take seconds; the card can be pulled out meanwhile.
func (c *Card) makeKey(alg, pin, touch byte) (*slot, bool) {
	var s *slot
	var err error
	stayed := c.unlocked(func() {
		var key any
		if key, err = newKey(alg); err == nil {
			s, err = newSlot(alg, key, pin, touch, fromCard)
		}
	})
	return s, stayed && err == nil
}

// template reads the elements inside the one outer element with a tag.
func template(data []byte, tag uint32) ([]item, bool) {
	outer, ok := parseTLV(data)
	if !ok || len(outer) != 1 || outer[0].tag != tag {
		return nil, false
	}
	return parseTLV(outer[0].value)
}

// moveKey is MOVE KEY (F6, firmware 5.7): to slot p1 from slot p2; p1 FF deletes.
func (c *Card) moveKey(cmd command) uint16 {
	if !c.session.authed {
		return swSecurity
	}
	if !isSlot(cmd.p2) || cmd.p1 != 0xFF && (!isSlot(cmd.p1) || cmd.p1 == slotAttestation || cmd.p2 == slotAttestation) {
		return swParameters
	}
	s := c.slotOf(cmd.p2)
	if s == nil {
		return swNoReference
	}
	if cmd.p1 != 0xFF {
		c.state.Slots[slotName(cmd.p1)] = s
	}
	if cmd.p1 != cmd.p2 {
		delete(c.state.Slots, slotName(cmd.p2))
	}
	return c.saved(swOK)
}
