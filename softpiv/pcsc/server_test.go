package pcsc_test

import (
	"crypto/x509"
	"os"
	"testing"

	"github.com/go-piv/piv-go/v2/piv"

	"github.com/fleet-hsm/fleet-hsm/softpiv/card"
	"github.com/fleet-hsm/fleet-hsm/softpiv/pcsc"
)

func TestMain(m *testing.M) { os.Exit(pcsc.Main(m)) }

func newCard(t *testing.T, cfg card.Config) *card.Card {
	t.Helper()
	c, err := card.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

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
	defer yk.Close()
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
