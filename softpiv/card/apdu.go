package card

import "encoding/binary"

// Status words (ISO 7816-4 section 5.6, SP 800-73-4 part 2).
const (
	swOK              uint16 = 0x9000
	swMore            uint16 = 0x6100 // low byte: how much, 00 for 256 and more
	swTries           uint16 = 0x63C0 // low nibble: tries left
	swLength          uint16 = 0x6700
	swSecureMessaging uint16 = 0x6882
	swSecurity        uint16 = 0x6982
	swBlocked         uint16 = 0x6983
	swConditions      uint16 = 0x6985
	swData            uint16 = 0x6A80
	swNotSupported    uint16 = 0x6A81
	swNotFound        uint16 = 0x6A82
	swParameters      uint16 = 0x6A86
	swNoReference     uint16 = 0x6A88
	swInstruction     uint16 = 0x6D00
	swClass           uint16 = 0x6E00
	swMemory          uint16 = 0x6581 // the state could not be written
)

// Instructions.
const (
	insVerify          = 0x20
	insChangeReference = 0x24
	insResetRetry      = 0x2C
	insGenerate        = 0x47
	insAuthenticate    = 0x87
	insSelect          = 0xA4
	insGetResponse     = 0xC0
	insGetData         = 0xCB
	insPutData         = 0xDB
	insMoveKey         = 0xF6
	insGetMetadata     = 0xF7
	insGetSerial       = 0xF8
	insAttest          = 0xF9
	insSetRetries      = 0xFA
	insReset           = 0xFB
	insGetVersion      = 0xFD
	insImport          = 0xFE
	insSetManagement   = 0xFF
	insReadConfig      = 0x1D // management applet
	insOTPRequest      = 0x01 // OTP applet
)

// maxInput is the longest command data a YubiKey takes, in bytes.
const maxInput = 3072

// command is one parsed APDU.
type command struct {
	cla, ins, p1, p2 byte
	data             []byte
	max              int // longest answer the client takes at once, bytes
}

// parseCommand reads short and extended APDUs of all four cases.
func parseCommand(b []byte) (command, bool) {
	if len(b) < 4 {
		return command{}, false
	}
	cmd := command{cla: b[0], ins: b[1], p1: b[2], p2: b[3], max: 256}
	body := b[4:]
	switch {
	case len(body) == 0:
		return cmd, true
	case len(body) == 1: // Le, or an Lc of zero
		cmd.max = orMax(int(body[0]), 256)
		return cmd, true
	case body[0] == 0 && len(body) >= 3:
		return cmd.extended(body[1:])
	}
	n := int(body[0])
	switch len(body) {
	case 1 + n:
	case 2 + n:
		cmd.max = orMax(int(body[1+n]), 256)
	default:
		return command{}, false
	}
	cmd.data = body[1 : 1+n]
	return cmd, true
}

// extended reads what follows the zero byte of an extended length.
func (cmd command) extended(body []byte) (command, bool) {
	n := int(binary.BigEndian.Uint16(body))
	rest := body[2:]
	switch len(rest) {
	case 0: // that was Le
		cmd.max = orMax(n, 65536)
		return cmd, true
	case n:
	case n + 2:
		cmd.max = orMax(int(binary.BigEndian.Uint16(rest[n:])), 65536)
	default:
		return command{}, false
	}
	cmd.data = rest[:n]
	return cmd, true
}

func orMax(n, most int) int {
	if n == 0 {
		return most
	}
	return n
}

// session is what a power cycle wipes.
type session struct {
	applet       applet
	verified     bool   // the PIN was given
	fresh        bool   // ... by the command just before this one
	authed       bool   // the management key was proven
	witness      []byte // what the client must send back (mutual authentication)
	challenge    []byte // what the client must encrypt (external authentication)
	chain        *command
	pending      []byte // rest of an answer, for GET RESPONSE
	touchedUntil int64  // end of a cached touch, Unix nanoseconds
}

// answer runs the transport part: chaining in, chaining out.
func (c *Card) answer(apdu []byte) []byte {
	cmd, ok := parseCommand(apdu)
	if !ok {
		return withStatus(nil, swLength)
	}
	if cmd.cla&^0x10 != 0 {
		if cmd.cla&0x0C != 0 && cmd.cla&0x80 == 0 {
			return withStatus(nil, swSecureMessaging)
		}
		return withStatus(nil, swClass)
	}
	if cmd.ins == insGetResponse {
		return c.nextPart(cmd.max)
	}
	c.session.pending = nil
	cmd, status := c.joinChain(cmd)
	if status != 0 {
		return withStatus(nil, status)
	}
	data, status := c.dispatch(cmd)
	if len(data) <= cmd.max || status != swOK {
		return withStatus(data, status)
	}
	c.session.pending = data
	return c.nextPart(cmd.max)
}

// joinChain collects the parts of a chained command. A status other than 0 answers
// at once: the command is not complete, or too long.
func (c *Card) joinChain(cmd command) (command, uint16) {
	whole := c.session.chain
	if whole == nil || whole.ins != cmd.ins || whole.p1 != cmd.p1 || whole.p2 != cmd.p2 {
		whole = &command{ins: cmd.ins, p1: cmd.p1, p2: cmd.p2}
	}
	c.session.chain = nil
	whole.data = append(whole.data, cmd.data...)
	if len(whole.data) > maxInput {
		return command{}, swLength
	}
	if cmd.cla&0x10 != 0 {
		c.session.chain = whole
		return command{}, swOK
	}
	whole.max = cmd.max
	return *whole, 0
}

// nextPart gives the next piece of a long answer.
func (c *Card) nextPart(most int) []byte {
	p := c.session.pending
	if p == nil {
		return withStatus(nil, swConditions)
	}
	n := min(len(p), most)
	rest := p[n:]
	c.session.pending = rest
	if len(rest) == 0 {
		c.session.pending = nil
		return withStatus(p[:n], swOK)
	}
	left := uint16(0)
	if len(rest) < 256 {
		left = uint16(len(rest))
	}
	return withStatus(p[:n], swMore|left)
}

func withStatus(data []byte, status uint16) []byte {
	return binary.BigEndian.AppendUint16(append([]byte(nil), data...), status)
}
