package piv

import (
	"time"

	"github.com/fleet-hsm/fleet-hsm/signer"
)

// Options tunes a backend. The zero value is what people want.
type Options struct {
	// Deadline bounds one visit to a card, from connecting to closing, without the
	// time that another program holds it; 0 means 30 s. Signing gets twice as long,
	// because of the touch, making an RSA key twenty times.
	Deadline time.Duration
	// BusyFor is how long a card that another program holds is asked again before
	// it is signer.ErrBusy; 0 means 5 s.
	BusyFor time.Duration
}

// What the Backend of every build is.
var (
	_ signer.Backend   = (*Backend)(nil)
	_ signer.Generator = (*Backend)(nil)
	_ signer.Tokener   = (*Backend)(nil)
	_ signer.Finder    = (*Backend)(nil)
	_ signer.KeyLister = (*Backend)(nil)
	_ signer.Describer = (*Backend)(nil)
	_ signer.Attester  = (*Backend)(nil)
	_ signer.Prober    = (*Backend)(nil)
	_ signer.Reporter  = (*Backend)(nil)
	_ signer.SetterUp  = (*Backend)(nil)
)

// VerifyAttestation checks a stored chain (PEM, leaf first) against Yubico's roots
// and extraRoots (PEM), without any card, and says what it proves. An error is
// signer.ErrAttestation.
func (b *Backend) VerifyAttestation(chainPEM, extraRoots []byte) (signer.Attestation, error) {
	return verifyChainPEM(chainPEM, extraRoots)
}
