//go:build cgo && linux

package piv

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"os"
	"testing"

	yk "github.com/go-piv/piv-go/v2/piv"

	"github.com/fleet-hsm/fleet-hsm/signer"
	soft "github.com/fleet-hsm/fleet-hsm/softpiv/card"
	"github.com/fleet-hsm/fleet-hsm/softpiv/pcsc"
)

// BenchmarkSign compares one signature of ours, PIN known, with the least that
// piv-go can do for one: open, verify the PIN, sign, close. With PIV_TEST_ALONE=1 in
// the environment it runs behind the real pcscd, otherwise with the stand-in library.
func BenchmarkSign(b *testing.B) {
	c, reader := benchCard(b)
	pub := provision(b, reader, yk.SlotSignature, quick())
	message := []byte("root")
	b.Run("piv-go", func(b *testing.B) {
		c.ResetCount()
		for b.Loop() {
			rawSign(b, reader, pub, message)
		}
		b.ReportMetric(float64(c.Count())/float64(b.N), "commands/op")
	})
	b.Run("ours", func(b *testing.B) {
		s := open(b, newBackend(b, Options{}), signer.Ref{URI: uri(b, "piv:serial=15835999;slot=9c"), Pinned: pub}, person(testPIN))
		must(s.Sign(b.Context(), message))(b)
		c.ResetCount()
		for b.Loop() {
			must(s.Sign(b.Context(), message))(b)
		}
		b.ReportMetric(float64(c.Count())/float64(b.N), "commands/op")
	})
	b.Run("ours, from Open to signature", func(b *testing.B) {
		backend := newBackend(b, Options{})
		ref := signer.Ref{URI: uri(b, "piv:serial=15835999;slot=9c"), Pinned: pub}
		c.ResetCount()
		for b.Loop() {
			s := must(backend.Open(b.Context(), ref, person(testPIN)))(b)
			must(s.Sign(b.Context(), message))(b)
			_ = s.Close()
		}
		b.ReportMetric(float64(c.Count())/float64(b.N), "commands/op")
	})
}

func benchCard(b *testing.B) (*soft.Card, string) {
	b.Helper()
	if _, real := os.LookupEnv(envAlone); real {
		_, blue, _, _ := daemon(b)
		return blue, readerOf(b, 15835999)
	}
	c := newCard(b, soft.Config{Serial: 15835999})
	return c, pcsc.Use(b, c).Readers()[0]
}

func rawSign(b *testing.B, reader string, pub crypto.PublicKey, message []byte) {
	b.Helper()
	raw(b, reader, func(y *yk.YubiKey) {
		private := must(y.PrivateKey(yk.SlotSignature, pub, yk.KeyAuth{PIN: testPIN, PINPolicy: yk.PINPolicyAlways}))(b)
		digest := sha256.Sum256(message)
		must(private.(crypto.Signer).Sign(rand.Reader, digest[:], crypto.SHA256))(b)
	})
}
