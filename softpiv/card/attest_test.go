package card

import (
	"bytes"
	"crypto/x509"
	"testing"
)

func TestAttestation(t *testing.T) {
	t.Parallel()
	for _, v := range versions() {
		cl := plugIn(t, Config{Firmware: v})
		cl.generate(slotSignature, algP256, pinAlways, touchAlways)
		leaf, err := x509.ParseCertificate(cl.want(swOK, insAttest, slotSignature, 0, nil))
		if err != nil {
			t.Fatal(err)
		}
		f9, ok := cl.c.attestationCertificate()
		if !ok {
			t.Fatal("no attestation certificate")
		}
		if f9.BasicConstraintsValid != (v[0] >= 5) {
			t.Errorf("firmware %v: basic constraints %v", v, f9.BasicConstraintsValid)
		}
		f9.BasicConstraintsValid, f9.IsCA = true, true
		roots, middle := x509.NewCertPool(), x509.NewCertPool()
		roots.AppendCertsFromPEM(cl.c.CAPEM())
		middle.AddCert(f9)
		opts := x509.VerifyOptions{Roots: roots, Intermediates: middle, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}
		if _, err := leaf.Verify(opts); err != nil {
			t.Errorf("firmware %v: %v", v, err)
		}
		cl.want(swData, insAttest, slotAuthentication, 0, nil)
	}
}

func TestImportedKeyIsNotAttested(t *testing.T) {
	t.Parallel()
	cl := plugIn(t, Config{})
	cl.manager()
	scalar := append(bytes.Repeat([]byte{0}, 31), 42)
	cl.want(swOK, insImport, algP256, slotAuthentication, tlv(0x06, scalar))
	cl.want(swData, insAttest, slotAuthentication, 0, nil)
	meta, _ := parseTLV(cl.want(swOK, insGetMetadata, 0, slotAuthentication, nil))
	if origin, _ := find(meta, 0x03); !bytes.Equal(origin, []byte{fromOutside}) {
		t.Errorf("origin %x", origin)
	}
	cl.want(swData, insImport, algP256, slotAuthentication, tlv(0x06, make([]byte, 32)))
}

func TestOtherVendor(t *testing.T) {
	t.Parallel()
	cl := plugIn(t, Config{OtherVendor: true})
	for _, ins := range []byte{insGetSerial, insGetMetadata, insAttest} {
		cl.want(swInstruction, ins, 0, 0, nil)
	}
	if sw := cl.verify("999999"); sw != swTries|4 {
		t.Errorf("first wrong PIN: %04x", sw)
	}
	cl.manager()
	withTouch := []byte{0xAC, 9, tagAlgorithm, 1, algP256, tagPIN, 1, pinAlways, tagTouch, 1, touchAlways}
	cl.want(swData, insGenerate, 0, slotSignature, withTouch)
	cl.generate(slotSignature, algP256, pinAlways, touchNever)
	cl.want(swNotFound, insSelect, 0x04, 0, aidOTP)
}

// TestLacks: an imitation of a YubiKey without one thing has all the others.
func TestLacks(t *testing.T) {
	t.Parallel()
	for _, f := range []Feature{SerialNumber, KeyMetadata, Attestation, TouchPolicies} {
		cl := plugIn(t, Config{Lacks: f})
		status := func(ins, p1, p2 byte) uint16 {
			_, sw := cl.send(ins, p1, p2, nil)
			return sw
		}
		cl.manager()
		_, touch := cl.send(insGenerate, 0, slotSignature, []byte{0xAC, 6, tagAlgorithm, 1, algP256, tagTouch, 1, touchCached})
		cl.generate(slotAuthentication, algP256, pinOnce, touchNever)
		got := map[Feature]bool{
			SerialNumber: status(insGetSerial, 0, 0) != swOK, KeyMetadata: status(insGetMetadata, 0, slotAuthentication) != swOK,
			Attestation: status(insAttest, slotAuthentication, 0) != swOK, TouchPolicies: touch != swOK,
		}
		for other, lacks := range got {
			if lacks != (other == f) {
				t.Errorf("without feature %d: feature %d is absent: %v", f, other, lacks)
			}
		}
	}
}
