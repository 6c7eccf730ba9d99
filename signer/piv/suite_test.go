//go:build cgo

package piv

import (
	"testing"

	yk "github.com/go-piv/piv-go/v2/piv"

	"github.com/fleet-hsm/fleet-hsm/signer"
	"github.com/fleet-hsm/fleet-hsm/signer/signertest"
	soft "github.com/fleet-hsm/fleet-hsm/softpiv/card"
)

// TestSuite runs the suite of all backends on each firmware, each kind of key and
// another vendor's card.
func TestSuite(t *testing.T) {
	rsa2048 := quick()
	rsa2048.Algorithm = yk.AlgorithmRSA2048
	once := quick()
	once.PINPolicy = yk.PINPolicyOnce
	for _, tt := range []struct {
		name string
		cfg  soft.Config
		key  yk.Key
	}{
		{"5.7.1", soft.Config{}, quick()},
		{"5.4.3 PIN once", soft.Config{Firmware: [3]byte{5, 4, 3}}, once},
		{"4.3.7", soft.Config{Firmware: [3]byte{4, 3, 7}}, quick()},
		{"RSA", soft.Config{Firmware: [3]byte{5, 4, 3}}, rsa2048},
	} {
		t.Run(tt.name, func(t *testing.T) {
			signertest.Run(t, signertest.Config{Setup: func(t *testing.T) signertest.Device {
				return suiteDevice(t, tt.cfg, tt.key)
			}})
		})
	}
	t.Run("other vendor", func(t *testing.T) {
		signertest.Run(t, signertest.Config{Setup: func(t *testing.T) signertest.Device {
			c := newCard(t, soft.Config{OtherVendor: true})
			pub := provision(t, plug(t, c)[0], yk.SlotSignature, quick())
			d := signertest.Device{
				Backend: newBackend(t, Options{}), URI: uri(t, "piv:reader=acme;slot=9c"), Public: pub,
				Kind: signer.PIN, Secret: testPIN, Wrong: wrongPIN, Missing: uri(t, "piv:reader=acme;slot=9a"),
				// The certificate is all that tells the key, and it yields to the pinned one.
				Hidden: true, TriesLeft: func(*testing.T) int { return c.PINLeft() },
			}
			storeCertificate(t, "ACME Card Reader 00 00", yk.SlotSignature, pub)
			return d
		}})
	})
}

// suiteDevice is two cards, so that a URI without a serial number is ambiguous.
func suiteDevice(t *testing.T, cfg soft.Config, key yk.Key) signertest.Device {
	cfg.Serial = 15835999
	c := newCard(t, cfg)
	readers := plug(t, c, newCard(t, soft.Config{Serial: 7654321}))
	pub := provision(t, readers[0], yk.SlotSignature, key)
	second := provision(t, readers[0], yk.SlotAuthentication, quick())
	provision(t, readers[1], yk.SlotSignature, quick())
	return signertest.Device{
		Backend: newBackend(t, Options{}),
		URI:     uri(t, "piv:serial=15835999;slot=9c"), Public: pub,
		Second: uri(t, "piv:serial=15835999;slot=9a"), SecondPublic: second,
		Kind: signer.PIN, Secret: testPIN, Wrong: wrongPIN,
		Missing: uri(t, "piv:serial=15835999;slot=82"), Ambiguous: uri(t, "piv:slot=9c"),
		TriesLeft: func(*testing.T) int { return c.PINLeft() },
	}
}
