package card

import (
	"bytes"
	"encoding/hex"
	"testing"
)

func TestProtectedObject(t *testing.T) {
	t.Parallel()
	cl := plugIn(t, Config{})
	get, _ := hex.DecodeString("5c03" + objectPrinted)
	cl.want(swSecurity, insGetData, 0x3F, 0xFF, get)
	cl.want(swSecurity, insPutData, 0x3F, 0xFF, append(get, 0x53, 1, 0x2A))
	cl.manager()
	cl.want(swOK, insPutData, 0x3F, 0xFF, append(get, 0x53, 1, 0x2A))
	cl.want(swSecurity, insGetData, 0x3F, 0xFF, get)
	cl.verify(factoryPIN)
	if out := cl.want(swOK, insGetData, 0x3F, 0xFF, get); !bytes.Equal(out, []byte{0x53, 1, 0x2A}) {
		t.Errorf("object %x", out)
	}
	cl.want(swOK, insPutData, 0x3F, 0xFF, append(get, 0x53, 0))
	cl.want(swNotFound, insGetData, 0x3F, 0xFF, get)
}

func TestLongObjects(t *testing.T) {
	t.Parallel()
	cl := plugIn(t, Config{})
	cl.manager()
	tag := []byte{0x5C, 3, 0x5F, 0xC1, 0x05}
	for _, n := range []int{1, 255, 256, 257, 512, 3000} {
		object := bytes.Repeat([]byte{0xA5}, n)
		cl.want(swOK, insPutData, 0x3F, 0xFF, append(tag, tlv(0x53, object)...))
		if out := cl.want(swOK, insGetData, 0x3F, 0xFF, tag); !bytes.Equal(out, tlv(0x53, object)) {
			t.Errorf("%d bytes: got %d", n, len(out))
		}
		extended := append([]byte{0, insGetData, 0x3F, 0xFF, 0, 0, byte(len(tag))}, tag...)
		if out := cl.c.Transmit(append(extended, 0, 0)); !bytes.Equal(out[:len(out)-2], tlv(0x53, object)) {
			t.Errorf("%d bytes, extended length: got %d", n, len(out))
		}
	}
	cl.want(swLength, insPutData, 0x3F, 0xFF, append(tag, tlv(0x53, make([]byte, maxInput))...))
	if !bytes.Equal(cl.c.Transmit([]byte{0, insGetResponse, 0, 0, 0}), withStatus(nil, swConditions)) {
		t.Error("GET RESPONSE with nothing pending")
	}
}
