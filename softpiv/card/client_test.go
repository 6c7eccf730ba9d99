package card

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"testing"
)

// client speaks to a card as a computer does: chained commands, GET RESPONSE.
type client struct {
	t *testing.T
	c *Card
}

// plugIn makes a card, selects PIV and gives the client's end.
func plugIn(t *testing.T, cfg Config) client {
	t.Helper()
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	cl := client{t: t, c: c}
	cl.selectPIV()
	return cl
}

func (cl client) selectPIV() {
	cl.t.Helper()
	cl.want(swOK, insSelect, 0x04, 0, aidPIV[:5])
}

// exchange sends one command and collects its answer.
func (cl client) exchange(ins, p1, p2 byte, data []byte) ([]byte, uint16, error) {
	for len(data) > 255 {
		out, err := cl.c.Exchange(append([]byte{0x10, ins, p1, p2, 255}, data[:255]...))
		if err != nil {
			return nil, 0, err
		}
		if sw := binary.BigEndian.Uint16(out); sw != swOK {
			return nil, sw, nil
		}
		data = data[255:]
	}
	out, err := cl.c.Exchange(append([]byte{0, ins, p1, p2, byte(len(data))}, data...))
	var all []byte
	for err == nil {
		sw := binary.BigEndian.Uint16(out[len(out)-2:])
		all = append(all, out[:len(out)-2]...)
		if sw&0xFF00 != swMore {
			return all, sw, nil
		}
		out, err = cl.c.Exchange([]byte{0, insGetResponse, 0, 0, 0})
	}
	return nil, 0, err
}

func (cl client) send(ins, p1, p2 byte, data []byte) ([]byte, uint16) {
	cl.t.Helper()
	out, sw, err := cl.exchange(ins, p1, p2, data)
	if err != nil {
		cl.t.Fatalf("command %02x: %v", ins, err)
	}
	return out, sw
}

// want sends a command that must be answered with a status.
func (cl client) want(status uint16, ins, p1, p2 byte, data []byte) []byte {
	cl.t.Helper()
	out, sw := cl.send(ins, p1, p2, data)
	if sw != status {
		cl.t.Fatalf("command %02x %02x %02x: status %04x, want %04x", ins, p1, p2, sw, status)
	}
	return out
}

func (cl client) verify(pin string) uint16 {
	cl.t.Helper()
	_, sw := cl.send(insVerify, 0, refPIN, padPIN(pin))
	return sw
}

func blockFor(t *testing.T, kind byte, key []byte) cipher.Block {
	t.Helper()
	newBlock := aes.NewCipher
	if kind == mgm3DES {
		newBlock = des.NewTripleDESCipher
	}
	block, err := newBlock(key)
	if err != nil {
		t.Fatal(err)
	}
	return block
}

// manage proves the management key (mutual authentication) and checks that the card
// proves it too.
func (cl client) manage(kind byte, key []byte) uint16 {
	cl.t.Helper()
	block := blockFor(cl.t, kind, key)
	n := block.BlockSize()
	out, sw := cl.send(insAuthenticate, kind, refManagement, []byte{0x7C, 2, 0x80, 0})
	if sw != swOK {
		return sw
	}
	witness := make([]byte, n)
	block.Decrypt(witness, out[4:])
	challenge := make([]byte, n)
	_, _ = rand.Read(challenge)
	out, sw = cl.send(insAuthenticate, kind, refManagement, tlv(0x7C, append(tlv(0x80, witness), tlv(0x81, challenge)...)))
	if sw != swOK {
		return sw
	}
	want := make([]byte, n)
	block.Encrypt(want, challenge)
	if !bytes.Equal(out[4:], want) {
		cl.t.Error("the card did not prove the management key")
	}
	return sw
}

// manager authenticates with the factory key.
func (cl client) manager() {
	cl.t.Helper()
	kind := byte(mgm3DES)
	if cl.c.atLeast(5, 7) {
		kind = mgmAES192
	}
	if sw := cl.manage(kind, factoryManagementKey()); sw != swOK {
		cl.t.Fatalf("factory management key: %04x", sw)
	}
}

// generate makes a key and returns the public part (7F49 contents).
func (cl client) generate(slot, alg, pin, touch byte) []byte {
	cl.t.Helper()
	cl.manager()
	data := []byte{0xAC, 9, tagAlgorithm, 1, alg, tagPIN, 1, pin, tagTouch, 1, touch}
	items, ok := template(cl.want(swOK, insGenerate, 0, slot, data), 0x7F49)
	if !ok {
		cl.t.Fatal("malformed public key")
	}
	return items[0].value
}

// sign asks for a P-256 signature over 32 bytes.
func (cl client) sign(slot byte) ([]byte, uint16) {
	cl.t.Helper()
	out, sw, err := cl.exchange(insAuthenticate, algP256, slot, signTemplate(make([]byte, 32)))
	if err != nil {
		cl.t.Fatal(err)
	}
	return out, sw
}

func signTemplate(input []byte) []byte {
	return tlv(0x7C, append(tlv(0x82, nil), tlv(0x81, input)...))
}

// gone checks that the next command has no answer for this reason.
func (cl client) gone(reason error) {
	cl.t.Helper()
	if _, _, err := cl.exchange(insGetVersion, 0, 0, nil); !errors.Is(err, reason) {
		cl.t.Fatalf("error %v, want %v", err, reason)
	}
}
