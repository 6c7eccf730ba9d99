package card

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/rand"
	"crypto/subtle"
)

// Types of management keys.
const (
	mgm3DES   = 0x03
	mgmAES128 = 0x08
	mgmAES192 = 0x0A
	mgmAES256 = 0x0C
)

// managementKey is the key that allows changes to the card.
type managementKey struct {
	Type  byte
	Key   []byte
	Touch bool
}

// managementLength is the key length in bytes, 0 for an unknown type.
func managementLength(kind byte) int {
	switch kind {
	case mgm3DES, mgmAES192:
		return 24
	case mgmAES128:
		return 16
	case mgmAES256:
		return 32
	}
	return 0
}

func (m managementKey) block() (cipher.Block, error) {
	if m.Type == mgm3DES {
		return des.NewTripleDESCipher(m.Key)
	}
	return aes.NewCipher(m.Key)
}

// authenticateManagement is GENERAL AUTHENTICATE (87) with key 9B. Mutual: the card
// gives an encrypted witness (7C { 80 }), the client sends it back decrypted with a
// challenge of its own, which the card encrypts. External: the card gives a
// challenge (7C { 81 }), the client sends it back encrypted (7C { 82 }).
func (c *Card) authenticateManagement(cmd command) ([]byte, uint16) {
	kind := cmd.p1
	if kind == 0 { // SP 800-78: the default, 3DES
		kind = mgm3DES
	}
	items, ok := template(cmd.data, 0x7C)
	if !ok || kind != c.state.Management.Type {
		return nil, swData
	}
	block, err := c.state.Management.block()
	if err != nil {
		return nil, swData
	}
	witness, hasWitness := find(items, 0x80)
	challenge, hasChallenge := find(items, 0x81)
	response, hasResponse := find(items, 0x82)
	switch {
	case hasWitness && len(witness) == 0:
		return c.giveWitness(block)
	case hasWitness && hasChallenge:
		return c.takeWitness(block, witness, challenge)
	case hasChallenge && len(challenge) == 0:
		return c.giveChallenge(block)
	case hasResponse:
		return nil, c.takeResponse(block, response)
	}
	return nil, swData
}

func (c *Card) giveWitness(block cipher.Block) ([]byte, uint16) {
	c.forgetChallenges()
	c.session.witness = make([]byte, block.BlockSize())
	_, _ = rand.Read(c.session.witness)
	encrypted := make([]byte, block.BlockSize())
	block.Encrypt(encrypted, c.session.witness)
	return tlv(0x7C, tlv(0x80, encrypted)), swOK
}

func (c *Card) takeWitness(block cipher.Block, witness, challenge []byte) ([]byte, uint16) {
	want := c.session.witness
	c.forgetChallenges()
	if want == nil || len(challenge) != block.BlockSize() {
		return nil, swData
	}
	if subtle.ConstantTimeCompare(want, witness) != 1 || !c.touchedForManagement() {
		return nil, swSecurity
	}
	c.session.authed = true
	encrypted := make([]byte, block.BlockSize())
	block.Encrypt(encrypted, challenge)
	return tlv(0x7C, tlv(0x82, encrypted)), swOK
}

func (c *Card) giveChallenge(block cipher.Block) ([]byte, uint16) {
	c.forgetChallenges()
	c.session.challenge = make([]byte, block.BlockSize())
	_, _ = rand.Read(c.session.challenge)
	return tlv(0x7C, tlv(0x81, c.session.challenge)), swOK
}

func (c *Card) takeResponse(block cipher.Block, response []byte) uint16 {
	challenge := c.session.challenge
	c.forgetChallenges()
	if challenge == nil {
		return swData
	}
	want := make([]byte, block.BlockSize())
	block.Encrypt(want, challenge)
	if subtle.ConstantTimeCompare(want, response) != 1 || !c.touchedForManagement() {
		return swSecurity
	}
	c.session.authed = true
	return swOK
}

// forgetChallenges starts an authentication afresh: an old one no longer counts.
func (c *Card) forgetChallenges() {
	c.session.witness, c.session.challenge, c.session.authed = nil, nil, false
}

func (c *Card) touchedForManagement() bool {
	if !c.state.Management.Touch {
		return true
	}
	return c.touched(refManagement, touchAlways)
}

// setManagement is Yubico's SET MANAGEMENT KEY (FF): p2 FF, or FE for one that
// demands a touch; data type, 9B, length, key.
func (c *Card) setManagement(cmd command) uint16 {
	if !c.session.authed {
		return swSecurity
	}
	if cmd.p1 != 0xFF || cmd.p2 != 0xFF && cmd.p2 != 0xFE {
		return swParameters
	}
	if len(cmd.data) < 3 || cmd.data[1] != refManagement {
		return swData
	}
	kind, key := cmd.data[0], cmd.data[3:]
	if kind != mgm3DES && (!c.atLeast(5, 4) || c.lacks(AESManagement)) || len(key) != managementLength(kind) || len(key) != int(cmd.data[2]) {
		return swData
	}
	if len(key) == 0 || cmd.p2 == 0xFE && c.lacks(TouchPolicies) {
		return swData
	}
	c.state.Management = managementKey{Type: kind, Key: append([]byte(nil), key...), Touch: cmd.p2 == 0xFE}
	return c.saved(swOK)
}
