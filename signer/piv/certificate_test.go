//go:build cgo

package piv

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"

	yk "github.com/go-piv/piv-go/v2/piv"
)

// certificate makes a certificate for any public key.
func certificate(t testing.TB, pub crypto.PublicKey) *x509.Certificate {
	t.Helper()
	issuer := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a certificate"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0),
	}
	der := must(x509.CreateCertificate(rand.Reader, tmpl, tmpl, pub, issuer))(t)
	return must(x509.ParseCertificate(der))(t)
}

// storeCertificate puts a certificate for pub into a slot of a factory card.
func storeCertificate(t testing.TB, reader string, slot yk.Slot, pub crypto.PublicKey) {
	t.Helper()
	raw(t, reader, func(y *yk.YubiKey) {
		if err := y.SetCertificate(yk.DefaultManagementKey, slot, certificate(t, pub)); err != nil {
			t.Fatal(err)
		}
	})
}

// importKey makes a P-256 key outside and puts it into a slot of a factory card.
func importKey(t testing.TB, reader string, slot yk.Slot, k yk.Key) *ecdsa.PrivateKey {
	t.Helper()
	private := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	raw(t, reader, func(y *yk.YubiKey) {
		if err := y.SetPrivateKeyInsecure(yk.DefaultManagementKey, slot, private, k); err != nil {
			t.Fatal(err)
		}
	})
	return private
}
