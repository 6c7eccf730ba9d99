//go:build cgo

package pcsc_test

import (
	"crypto/x509"
	"os"
	"strings"
	"testing"

	"github.com/go-piv/piv-go/v2/piv"

	"github.com/fleet-hsm/fleet-hsm/softpiv/card"
	"github.com/fleet-hsm/fleet-hsm/softpiv/pcsc"
)

func TestMain(m *testing.M) { os.Exit(pcsc.Main(m)) }

func TestGenerateSignAttest(t *testing.T) {
	c := newCard(t, card.Config{Serial: 15835999})
	pcsc.Use(t, c)
	names, err := piv.Cards()
	if err != nil || len(names) != 1 {
		t.Fatalf("cards %q, %v", names, err)
	}
	yk, err := piv.Open(names[0])
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = yk.Close() }()
	serial, err := yk.Serial()
	if err != nil || serial != 15835999 {
		t.Fatalf("serial %d, %v", serial, err)
	}
	key := piv.Key{Algorithm: piv.AlgorithmEC256, PINPolicy: piv.PINPolicyAlways, TouchPolicy: piv.TouchPolicyAlways}
	if _, err := yk.GenerateKey(piv.DefaultManagementKey, piv.SlotSignature, key); err != nil {
		t.Fatal(err)
	}
	cert, err := yk.Attest(piv.SlotSignature)
	if err != nil {
		t.Fatal(err)
	}
	f9, err := yk.AttestationCertificate()
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(c.CAPEM())
	a, err := (&piv.Verifier{Roots: roots}).Verify(f9, cert)
	if err != nil {
		t.Fatal(err)
	}
	if a.Serial != 15835999 || a.PINPolicy != piv.PINPolicyAlways || a.Slot != piv.SlotSignature {
		t.Errorf("attestation %+v", a)
	}
}

// TestUseIsolates: a test sees its own cards and no others, whatever else is served.
func TestUseIsolates(t *testing.T) {
	for _, serial := range []uint32{1, 2} {
		t.Run("", func(t *testing.T) {
			other, err := pcsc.Serve(newCard(t, card.Config{Serial: 99}))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = other.Close() }()
			pcsc.Use(t, newCard(t, card.Config{Serial: serial}))
			names, err := piv.Cards()
			if err != nil || len(names) != 1 {
				t.Fatalf("cards %q, %v", names, err)
			}
			yk, err := piv.Open(names[0])
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = yk.Close() }()
			if got, err := yk.Serial(); err != nil || got != serial {
				t.Errorf("card %d, %v; want %d", got, err, serial)
			}
		})
	}
	if _, err := piv.Cards(); err == nil {
		t.Error("without Use there must be no PC/SC service")
	}
}

// TestBusyAndRemoved: what piv-go makes of a held card and of one that leaves.
func TestBusyAndRemoved(t *testing.T) {
	c := newCard(t, card.Config{})
	s := pcsc.Use(t, c)
	reader := s.Readers()[0]
	c.SetBusy(1)
	if _, err := piv.Open(reader); err == nil || !strings.Contains(err.Error(), "other connections outstanding") {
		t.Errorf("busy card: %v", err)
	}
	yk, err := piv.Open(reader)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = yk.Close() }()
	c.RemoveAfter(0)
	if _, err := yk.Serial(); err == nil || !strings.Contains(err.Error(), "has been removed") {
		t.Errorf("removed card: %v", err)
	}
	if names, err := piv.Cards(); err != nil || len(names) != 0 {
		t.Errorf("readers %q, %v: a YubiKey takes its reader along", names, err)
	}
	c.Insert()
	again, err := piv.Open(reader)
	if err != nil {
		t.Fatalf("after plugging in again: %v", err)
	}
	_ = again.Close()
}

// TestT0Only: piv-go asks for T=1.
func TestT0Only(t *testing.T) {
	s := pcsc.Use(t, newCard(t, card.Config{T0Only: true}))
	if _, err := piv.Open(s.Readers()[0]); err == nil || !strings.Contains(err.Error(), "protocols are incompatible") {
		t.Errorf("card with T=0 only: %v", err)
	}
}
