package card

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func versions() [][3]byte { return [][3]byte{{4, 3, 7}, {5, 4, 3}, {5, 7, 1}} }

func TestVersionsDiffer(t *testing.T) {
	t.Parallel()
	type row struct{ serial, metadata, aes, ed25519, move uint16 }
	want := map[[3]byte]row{
		{4, 3, 7}: {swInstruction, swInstruction, swData, swData, swInstruction},
		{5, 4, 3}: {swOK, swOK, swOK, swData, swInstruction},
		{5, 7, 1}: {swOK, swOK, swOK, swOK, swNoReference},
	}
	for _, v := range versions() {
		cl := plugIn(t, Config{Firmware: v, Serial: 15835999})
		var got row
		_, got.serial = cl.send(insGetSerial, 0, 0, nil)
		_, got.metadata = cl.send(insGetMetadata, 0, refPIN, nil)
		cl.manager()
		_, got.ed25519 = cl.send(insGenerate, 0, 0x82, []byte{0xAC, 3, tagAlgorithm, 1, algEd25519})
		_, got.move = cl.send(insMoveKey, 0xFF, 0x9D, nil)
		_, got.aes = cl.send(insSetManagement, 0xFF, 0xFF, append([]byte{mgmAES256, refManagement, 32}, make([]byte, 32)...))
		if got != want[v] {
			t.Errorf("firmware %v: %04x, want %04x", v, got, want[v])
		}
		cl.want(swOK, insSelect, 0x04, 0, aidOTP)
		if out := cl.want(swOK, insOTPRequest, 0x10, 0, nil); hex.EncodeToString(out) != "00f1a35f" {
			t.Errorf("firmware %v: serial from the OTP applet %x", v, out)
		}
	}
}

func TestPINCounters(t *testing.T) {
	t.Parallel()
	cl := plugIn(t, Config{})
	for left := 2; left >= 0; left-- {
		if sw := cl.verify("999999"); sw != swTries|uint16(left) {
			t.Fatalf("wrong PIN: %04x with %d left", sw, left)
		}
		if cl.c.PINLeft() != left {
			t.Fatalf("%d tries left, want %d", cl.c.PINLeft(), left)
		}
	}
	if sw := cl.verify(factoryPIN); sw != swBlocked {
		t.Errorf("right PIN on a blocked card: %04x", sw)
	}
	cl.want(swBlocked, insVerify, 0, refPIN, nil)
	cl.want(swConditions, insReset, 0, 0, nil)
	puk := append(padPIN(factoryPUK), padPIN("654321")...)
	cl.want(swOK, insResetRetry, 0, refPIN, puk)
	if sw := cl.verify("654321"); sw != swOK || cl.c.PINLeft() != 3 {
		t.Errorf("after the PUK: %04x, %d left", sw, cl.c.PINLeft())
	}
	short := append(padPIN("654321"), padPIN("12345")...)
	cl.want(swData, insChangeReference, 0, refPIN, short)
	if cl.c.PINLeft() != 3 {
		t.Error("a new PIN that is too short cost a try")
	}
	// piv-go blocks the PUK with a random number as old and new one.
	cl.want(swTries|2, insChangeReference, 0, refPUK, append(padPIN("12345"), padPIN("12345")...))
}

func TestResetNeedsBothBlocked(t *testing.T) {
	t.Parallel()
	cl := plugIn(t, Config{})
	cl.generate(slotSignature, algP256, pinAlways, touchAlways)
	for range 3 {
		cl.verify("999999")
	}
	cl.want(swConditions, insReset, 0, 0, nil)
	for range 3 {
		cl.send(insChangeReference, 0, refPUK, append(padPIN("999999"), padPIN("999999")...))
	}
	cl.want(swOK, insReset, 0, 0, nil)
	if cl.c.PINLeft() != 3 || cl.c.PUKLeft() != 3 {
		t.Error("counters not refilled")
	}
	cl.want(swNoReference, insGetMetadata, 0, slotSignature, nil)
	cl.want(swOK, insGetMetadata, 0, slotAttestation, nil)
	cl.manager()
}

func TestManagementKeys(t *testing.T) {
	t.Parallel()
	for kind, length := range map[byte]int{mgm3DES: 24, mgmAES128: 16, mgmAES192: 24, mgmAES256: 32} {
		cl := plugIn(t, Config{})
		key := make([]byte, length)
		for i := range key {
			key[i] = byte(7*i + 1)
		}
		set := append([]byte{kind, refManagement, byte(length)}, key...)
		cl.want(swSecurity, insSetManagement, 0xFF, 0xFF, set)
		cl.manager()
		cl.want(swOK, insSetManagement, 0xFF, 0xFF, set)
		cl.c.Reset()
		cl.selectPIV()
		cl.want(swSecurity, insSetManagement, 0xFF, 0xFF, set)
		if sw := cl.manage(kind, key); sw != swOK {
			t.Errorf("type %02x: %04x", kind, sw)
		}
		key[0] ^= 0x80
		if sw := cl.manage(kind, key); sw != swSecurity {
			t.Errorf("type %02x, wrong key: %04x", kind, sw)
		}
		cl.want(swSecurity, insSetManagement, 0xFF, 0xFF, set)
		cl.external(kind, set[3:])
	}
}

// external proves the key the other way: the card's challenge comes back encrypted.
func (cl client) external(kind byte, key []byte) {
	cl.t.Helper()
	out := cl.want(swOK, insAuthenticate, kind, refManagement, []byte{0x7C, 2, 0x81, 0})
	block := blockFor(cl.t, kind, key)
	response := make([]byte, block.BlockSize())
	block.Encrypt(response, out[4:])
	cl.want(swOK, insAuthenticate, kind, refManagement, tlv(0x7C, tlv(0x82, response)))
	cl.want(swData, insAuthenticate, kind, refManagement, tlv(0x7C, tlv(0x82, response)))
}

func TestPINPolicies(t *testing.T) {
	t.Parallel()
	cl := plugIn(t, Config{})
	cl.generate(slotSignature, algP256, pinAlways, touchNever)
	cl.generate(slotAuthentication, algP256, pinOnce, touchNever)
	cl.generate(slotCardAuthentication, algP256, pinNever, touchNever)
	steps := []struct {
		what string
		slot byte
		want uint16
	}{
		{"never", slotCardAuthentication, swOK}, {"once", slotAuthentication, swSecurity}, {"always", slotSignature, swSecurity},
		{"PIN", 0, swOK}, {"always, after PIN", slotSignature, swOK}, {"always, again", slotSignature, swSecurity},
		{"once, later", slotAuthentication, swOK}, {"PIN", 0, swOK}, {"never, between", slotCardAuthentication, swOK},
		{"always, not at once", slotSignature, swSecurity},
	}
	for _, s := range steps {
		sw := uint16(0)
		if s.slot == 0 {
			sw = cl.verify(factoryPIN)
		} else {
			_, sw = cl.sign(s.slot)
		}
		if sw != s.want {
			t.Errorf("%s: %04x, want %04x", s.what, sw, s.want)
		}
	}
	cl.want(swOK, insVerify, 0xFF, refPIN, nil)
	if _, sw := cl.sign(slotAuthentication); sw != swSecurity {
		t.Errorf("after logging out: %04x", sw)
	}
}

func TestSignatureVerifies(t *testing.T) {
	t.Parallel()
	cl := plugIn(t, Config{})
	point := cl.generate(slotCardAuthentication, algP256, pinNever, touchNever)
	pub, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		t.Fatal(err)
	}
	cl.c.SetWrongSignatures(1)
	for i, want := range []bool{false, true} {
		out, sw := cl.sign(slotCardAuthentication)
		items, ok := template(out, 0x7C)
		if sw != swOK || !ok {
			t.Fatalf("signature %d: %04x", i, sw)
		}
		if got := ecdsa.VerifyASN1(pub, make([]byte, 32), items[0].value); got != want {
			t.Errorf("signature %d verifies: %v, want %v", i, got, want)
		}
	}
	cl.want(swData, insAuthenticate, algP256, slotCardAuthentication, signTemplate(make([]byte, 33)))
	cl.want(swData, insAuthenticate, algP384, slotCardAuthentication, signTemplate(make([]byte, 32)))
}

func TestTouch(t *testing.T) {
	t.Parallel()
	waiting := make(chan byte)
	cl := plugIn(t, Config{TouchTimeout: 20 * time.Millisecond, OnTouch: func(slot byte) { waiting <- slot }})
	cl.generate(0x82, algP256, pinNever, touchAlways)
	cl.generate(0x83, algP256, pinNever, touchCached)
	sign := func(slot byte) <-chan uint16 {
		done := make(chan uint16, 1)
		go func() {
			_, sw, _ := cl.exchange(insAuthenticate, algP256, slot, signTemplate(make([]byte, 32)))
			done <- sw
		}()
		return done
	}
	cl.c.SetTouch(TouchNobody, 0)
	done := sign(0x82)
	if slot := <-waiting; slot != 0x82 {
		t.Errorf("touch wanted for %02x", slot)
	}
	if sw := <-done; sw != swSecurity {
		t.Errorf("nobody touched: %04x", sw)
	}
	if cl.c.Touch() {
		t.Error("a touch that nobody waits for was taken")
	}
	cl.c.SetTouch(TouchByHand, 0)
	cl.c.SetTouchTimeout(time.Minute)
	done = sign(0x83)
	<-waiting
	if !cl.c.Touch() {
		t.Error("touch not taken")
	}
	if sw := <-done; sw != swOK {
		t.Errorf("touched: %04x", sw)
	}
	if sw := <-sign(0x83); sw != swOK { // would block if it waited
		t.Errorf("cached touch: %04x", sw)
	}
	done = sign(0x82)
	<-waiting
	cl.c.Remove()
	if sw := <-done; sw != 0 {
		t.Errorf("pulled out while it waited: %04x", sw)
	}
}

func TestMissedTouchThenAuto(t *testing.T) {
	t.Parallel()
	cl := plugIn(t, Config{TouchTimeout: time.Millisecond})
	cl.generate(0x82, algP256, pinNever, touchAlways)
	cl.c.MissTouches(1)
	if _, sw := cl.sign(0x82); sw != swSecurity {
		t.Errorf("missed touch: %04x", sw)
	}
	cl.c.SetTouchTimeout(time.Minute)
	if _, sw := cl.sign(0x82); sw != swOK {
		t.Errorf("next touch: %04x", sw)
	}
}

func TestRemovalAndReset(t *testing.T) {
	t.Parallel()
	cl := plugIn(t, Config{})
	if sw := cl.verify(factoryPIN); sw != swOK {
		t.Fatal(sw)
	}
	cl.c.RemoveAfter(2)
	cl.want(swOK, insVerify, 0, refPIN, nil)
	cl.want(swOK, insVerify, 0, refPIN, nil)
	cl.gone(ErrRemoved)
	cl.gone(ErrRemoved)
	cl.c.Insert()
	cl.want(swInstruction, insVerify, 0, refPIN, nil) // no applet selected
	cl.selectPIV()
	cl.want(swTries|3, insVerify, 0, refPIN, nil)

	cl.c.ResetAfter(0)
	cl.gone(ErrReset)
	cl.selectPIV()

	cl.c.LoseAnswerAfter(0)
	if _, _, err := cl.exchange(insVerify, 0, refPIN, padPIN("999999")); !errors.Is(err, ErrRemoved) {
		t.Fatalf("answer not lost: %v", err)
	}
	if left := cl.c.PINLeft(); left != 2 {
		t.Errorf("%d tries left: the command with the lost answer must have run", left)
	}
}

func TestStateSurvives(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cl := plugIn(t, Config{Dir: dir, Serial: 77, Firmware: [3]byte{5, 4, 3}})
	point := cl.generate(slotSignature, algP256, pinNever, touchNever)
	cl.generate(slotAuthentication, algP384, pinNever, touchNever)
	cl.verify("999999")
	again := plugIn(t, Config{Dir: dir})
	if again.c.Serial() != 77 || again.c.Firmware() != [3]byte{5, 4, 3} || again.c.PINLeft() != 2 {
		t.Errorf("card %d %v, %d tries", again.c.Serial(), again.c.Firmware(), again.c.PINLeft())
	}
	if !bytes.Contains(again.want(swOK, insGetMetadata, 0, slotSignature, nil), point) {
		t.Error("another key after the restart")
	}
	if !bytes.Equal(again.c.CAPEM(), cl.c.CAPEM()) {
		t.Error("another authority after the restart")
	}
	if _, err := New(Config{Dir: dir, Serial: 78}); err == nil {
		t.Error("card 77 was taken for card 78")
	}
	info, err := os.Stat(filepath.Join(dir, "card.json"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("state file: %v, %v", info.Mode(), err)
	}
}

func TestNoPIV(t *testing.T) {
	t.Parallel()
	cl := plugIn(t, Config{})
	cl.c.SetNoPIV(true)
	cl.want(swNotFound, insSelect, 0x04, 0, aidPIV[:5])
}

func TestTraceHidesSecrets(t *testing.T) {
	t.Parallel()
	cl := plugIn(t, Config{})
	cl.manager()
	secretBytes, _ := hex.DecodeString("deadbeefcafe4242")
	long := bytes.Repeat(secretBytes, 4)
	cl.send(insVerify, 0, refPIN, secretBytes)
	cl.send(insChangeReference, 0, refPUK, append(secretBytes, secretBytes...))
	cl.send(insResetRetry, 0, refPIN, append(secretBytes, secretBytes...))
	cl.send(insSetManagement, 0xFF, 0xFF, append([]byte{mgmAES256, refManagement, 32}, long...))
	cl.send(insImport, algP256, 0x82, tlv(0x06, long))
	get, _ := hex.DecodeString("5c03" + objectPrinted)
	cl.send(insPutData, 0x3F, 0xFF, append(get, tlv(0x53, long)...))
	cl.verify(factoryPIN)
	cl.want(swOK, insGetData, 0x3F, 0xFF, get)
	trace := strings.Join(cl.c.Trace(), "\n")
	for _, hidden := range []string{"deadbeef", hex.EncodeToString([]byte(factoryPIN))} {
		if strings.Contains(trace, hidden) {
			t.Errorf("%s in the trace:\n%s", hidden, trace)
		}
	}
	if strings.Count(trace, "***") != 8 {
		t.Errorf("%d hidden lines, want 8:\n%s", strings.Count(trace, "***"), trace)
	}
}

func TestMoveAndDelete(t *testing.T) {
	t.Parallel()
	cl := plugIn(t, Config{})
	point := cl.generate(slotSignature, algP256, pinNever, touchNever)
	cl.want(swOK, insMoveKey, 0x82, slotSignature, nil)
	cl.want(swNoReference, insGetMetadata, 0, slotSignature, nil)
	if !bytes.Contains(cl.want(swOK, insGetMetadata, 0, 0x82, nil), point) {
		t.Error("another key arrived")
	}
	cl.want(swOK, insMoveKey, 0xFF, 0x82, nil)
	cl.want(swNoReference, insGetMetadata, 0, 0x82, nil)
}

// FuzzTransmit: no command, and no pair of commands, makes the card panic or give an
// answer without a status.
func FuzzTransmit(f *testing.F) {
	f.Add([]byte{0, insSelect, 4, 0, 5, 0xA0, 0, 0, 3, 8}, []byte{0, insVerify, 0, refPIN, 0})
	f.Add([]byte{0x10, insPutData, 0x3F, 0xFF, 2, 0x5C, 3}, []byte{0, insPutData, 0x3F, 0xFF, 1, 0x5F})
	f.Add([]byte{0, insAuthenticate, mgmAES192, refManagement, 4, 0x7C, 2, 0x81, 0}, []byte{0, insGenerate, 0, 0x9C, 1, 0xAC})
	f.Add([]byte{0, insAttest, 0x9A, 0}, []byte{0, insGetMetadata, 0, 0xF9, 0, 0, 0})
	f.Add([]byte{0, insImport, algRSA2048, 0x9A, 4, 1, 1, 2, 1}, []byte{})
	f.Fuzz(func(t *testing.T, first, second []byte) {
		cl := plugIn(t, Config{})
		cl.manager()
		for _, apdu := range [][]byte{first, second} {
			if out := cl.c.Transmit(apdu); len(out) < 2 {
				t.Errorf("answer %x to %x", out, apdu)
			}
		}
	})
}
