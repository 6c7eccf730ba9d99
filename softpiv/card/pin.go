package card

import (
	"bytes"
	"crypto/subtle"
)

// References in P2.
const (
	refPIN        = 0x80
	refPUK        = 0x81
	refManagement = 0x9B
)

// minPIN is the shortest PIN or PUK a YubiKey lets one set.
const minPIN = 6

// secret is a PIN or PUK: 8 bytes padded with FF, and its counters.
type secret struct {
	Value     []byte
	Left, Max int
}

func factorySecret(value string, tries int) secret {
	return secret{Value: padPIN(value), Left: tries, Max: tries}
}

func padPIN(s string) []byte {
	return append([]byte(s), bytes.Repeat([]byte{0xFF}, 8-len(s))...)
}

// try compares, counts and answers 9000, 63Cn or 6983.
func (s *secret) try(value []byte) uint16 {
	if s.Left == 0 {
		return swBlocked
	}
	if subtle.ConstantTimeCompare(s.Value, value) != 1 {
		s.Left--
		return s.tries()
	}
	s.Left = s.Max
	return swOK
}

// change sets target, which may be s itself, to a new value if the old value of s is
// right. What is wrong with the new value is looked at only then.
func (s *secret) change(old []byte, target *secret, value []byte, complexity bool) uint16 {
	if status := s.try(old); status != swOK {
		return status
	}
	if !settable(value) {
		return swData
	}
	if complexity && simple(value) {
		return swConditions
	}
	target.Value, target.Left = bytes.Clone(value), target.Max
	return swOK
}

// tries is the answer of a wrong try; more than 15 shows as 15.
func (s *secret) tries() uint16 { return swTries | uint16(min(s.Left, 15)) }

// settable reports whether a new PIN or PUK has a length the card takes.
func settable(value []byte) bool {
	plain := bytes.TrimRight(value, "\xFF")
	return len(plain) >= minPIN && !bytes.Contains(plain, []byte{0xFF})
}

// verify is VERIFY (20): a PIN, a question about its state, or a log-out.
func (c *Card) verify(cmd command) uint16 {
	if cmd.p2 != refPIN {
		return swNoReference
	}
	if cmd.p1 == 0xFF && len(cmd.data) == 0 {
		c.session.verified = false
		return swOK
	}
	if cmd.p1 != 0 {
		return swParameters
	}
	if len(cmd.data) == 0 {
		return c.pinStatus()
	}
	if len(cmd.data) != 8 {
		return swData
	}
	status := c.state.PIN.try(cmd.data)
	c.session.verified = status == swOK
	c.session.fresh = status == swOK
	return c.saved(status)
}

func (c *Card) pinStatus() uint16 {
	switch {
	case c.session.verified:
		return swOK
	case c.state.PIN.Left == 0:
		return swBlocked
	}
	return c.state.PIN.tries()
}

// changeReference is CHANGE REFERENCE DATA (24): old and new PIN or PUK.
func (c *Card) changeReference(cmd command) uint16 {
	s := &c.state.PIN
	switch {
	case cmd.p2 == refPUK:
		s = &c.state.PUK
	case cmd.p2 != refPIN:
		return swNoReference
	}
	if len(cmd.data) != 16 {
		return swData
	}
	status := s.change(cmd.data[:8], s, cmd.data[8:], c.has(PINComplexity))
	if status&0xFFF0 == swTries && cmd.p2 == refPIN {
		c.session.verified = false
	}
	return c.saved(status)
}

// resetRetry is RESET RETRY COUNTER (2C): the PUK gives a new PIN.
func (c *Card) resetRetry(cmd command) uint16 {
	if cmd.p2 != refPIN {
		return swNoReference
	}
	if len(cmd.data) != 16 {
		return swData
	}
	status := c.state.PUK.change(cmd.data[:8], &c.state.PIN, cmd.data[8:], c.has(PINComplexity))
	if status == swOK {
		c.session.verified = false
	}
	return c.saved(status)
}

// setRetries is SET PIN RETRIES (FA); it puts the factory PIN and PUK back.
func (c *Card) setRetries(cmd command) uint16 {
	if c.lacks(RetryCounters) {
		return swInstruction
	}
	if !c.session.authed || !c.session.verified {
		return swSecurity
	}
	if cmd.p1 == 0 || cmd.p2 == 0 {
		return swParameters
	}
	c.state.PIN = factorySecret(factoryPIN, int(cmd.p1))
	c.state.PUK = factorySecret(factoryPUK, int(cmd.p2))
	c.session.verified = false
	return c.saved(swOK)
}

// resetApplet is RESET (FB): only a card whose PIN and PUK are both blocked.
func (c *Card) resetApplet() uint16 {
	if c.state.PIN.Left > 0 || c.state.PUK.Left > 0 {
		return swConditions
	}
	c.factoryReset()
	c.session = session{applet: appletPIV}
	return c.saved(swOK)
}
