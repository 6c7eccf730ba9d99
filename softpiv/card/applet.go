package card

import (
	"bytes"
	"encoding/binary"
)

// applet is what SELECT chose.
type applet int

const (
	appletNone applet = iota
	appletPIV
	appletOTP
	appletManagement
)

var (
	aidPIV        = []byte{0xA0, 0x00, 0x00, 0x03, 0x08, 0x00, 0x00, 0x10, 0x00, 0x01, 0x00}
	aidOTP        = []byte{0xA0, 0x00, 0x00, 0x05, 0x27, 0x20, 0x01, 0x01}
	aidManagement = []byte{0xA0, 0x00, 0x00, 0x05, 0x27, 0x47, 0x11, 0x17}
)

// dispatch runs one complete command. Freshness of a PIN lasts for one command.
func (c *Card) dispatch(cmd command) ([]byte, uint16) {
	fresh := c.session.fresh
	c.session.fresh = false
	if cmd.ins == insSelect {
		return c.selectApplet(cmd)
	}
	switch c.session.applet {
	case appletPIV:
		return c.piv(cmd, fresh)
	case appletOTP:
		return c.otp(cmd)
	case appletManagement:
		return c.management(cmd)
	}
	return nil, swInstruction
}

// piv runs a command of the PIV applet. fresh: the command before was a good VERIFY.
func (c *Card) piv(cmd command, fresh bool) ([]byte, uint16) {
	switch cmd.ins {
	case insVerify:
		return nil, c.verify(cmd)
	case insChangeReference:
		return nil, c.changeReference(cmd)
	case insResetRetry:
		return nil, c.resetRetry(cmd)
	case insSetRetries:
		return nil, c.setRetries(cmd)
	case insReset:
		return nil, c.resetApplet()
	case insAuthenticate:
		if cmd.p2 == refManagement {
			return c.authenticateManagement(cmd)
		}
		return c.useKey(cmd, fresh)
	case insSetManagement:
		return nil, c.setManagement(cmd)
	case insGenerate:
		return c.generate(cmd)
	case insImport:
		return nil, c.importKey(cmd)
	case insGetData:
		return c.getData(cmd)
	case insPutData:
		return nil, c.putData(cmd)
	}
	return c.yubico(cmd)
}

// yubico runs what only YubiKeys have.
func (c *Card) yubico(cmd command) ([]byte, uint16) {
	if cmd.ins == insGetVersion {
		v := c.cfg.Firmware
		return v[:], swOK
	}
	switch {
	case cmd.ins == insGetSerial && c.atLeast(5, 0) && !c.lacks(SerialNumber):
		return binary.BigEndian.AppendUint32(nil, c.cfg.Serial), swOK
	case cmd.ins == insGetMetadata && c.atLeast(5, 3) && !c.lacks(KeyMetadata):
		return c.metadata(cmd)
	case cmd.ins == insAttest && c.atLeast(4, 3) && !c.lacks(Attestation):
		return c.attest(cmd)
	case cmd.ins == insMoveKey && c.atLeast(5, 7) && !c.cfg.OtherVendor:
		return nil, c.moveKey(cmd)
	}
	return nil, swInstruction
}

// selectApplet switches applets; leaving one drops its session.
func (c *Card) selectApplet(cmd command) ([]byte, uint16) {
	if cmd.p1 != 0x04 {
		return nil, swParameters
	}
	next, reply := c.appletOf(cmd.data)
	if next == appletNone {
		return nil, swNotFound
	}
	if next != c.session.applet || c.has(ForgetsOnSelect) {
		c.session = session{applet: next}
	}
	return reply, swOK
}

// appletOf finds the applet an AID, or its beginning, names, with its answer.
func (c *Card) appletOf(aid []byte) (applet, []byte) {
	if c.knobs.noPIV || len(aid) < 5 {
		return appletNone, nil
	}
	v := c.cfg.Firmware
	switch {
	case bytes.HasPrefix(aidPIV, aid):
		return appletPIV, []byte{
			0x61, 0x11, 0x4F, 0x06, 0x00, 0x00, 0x10, 0x00, 0x01, 0x00,
			0x79, 0x07, 0x4F, 0x05, 0xA0, 0x00, 0x00, 0x03, 0x08,
		}
	case c.lacks(SerialNumber):
		return appletNone, nil
	case bytes.HasPrefix(aidOTP, aid):
		return appletOTP, append(v[:], 0x00, 0x00, 0x00, 0x00)
	case bytes.HasPrefix(aidManagement, aid):
		return appletManagement, []byte("Virtual mgr - FW version " + c.version())
	}
	return appletNone, nil
}

// otp answers only the request for the serial number (01, slot 10).
func (c *Card) otp(cmd command) ([]byte, uint16) {
	if cmd.ins == insOTPRequest && cmd.p1 == 0x10 {
		return binary.BigEndian.AppendUint32(nil, c.cfg.Serial), swOK
	}
	return nil, swInstruction
}

// management answers READ CONFIG: a length byte, then TLVs: 01 capabilities, 02 serial,
// and from firmware 5 also 04 form factor, 05 version.
func (c *Card) management(cmd command) ([]byte, uint16) {
	if cmd.ins != insReadConfig || !c.atLeast(4, 1) {
		return nil, swInstruction
	}
	v := c.cfg.Firmware
	capabilities := []byte{0x3F} // OTP, U2F, CCID, OpenPGP, PIV, OATH
	if c.atLeast(5, 0) {
		capabilities = []byte{0x02, 0x3F} // and FIDO2
	}
	b := tlv(0x01, capabilities)
	b = append(b, tlv(0x02, binary.BigEndian.AppendUint32(nil, c.cfg.Serial))...)
	if c.atLeast(5, 0) {
		b = append(b, tlv(0x04, []byte{c.cfg.FormFactor})...)
		b = append(b, tlv(0x05, v[:])...)
	}
	if c.atLeast(5, 7) {
		b = append(b, tlv(0x16, flag(c.has(PINComplexity)))...)
	}
	return append([]byte{byte(len(b))}, b...), swOK
}
