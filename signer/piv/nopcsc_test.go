//go:build !cgo && !windows

package piv

import (
	"errors"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/signer"
)

// TestWithoutPCSC: a build without cgo says so, and still verifies attestations
// (TestGenuineAttestations runs in it too).
func TestWithoutPCSC(t *testing.T) {
	u, err := Kind().Parse("piv:serial=1;slot=9c")
	if err != nil {
		t.Fatal(err)
	}
	b := New(Options{})
	if _, err := b.Open(t.Context(), signer.Ref{URI: u}, nil); !errors.Is(err, signer.ErrUnsupported) {
		t.Errorf("open: %v, want ErrUnsupported", err)
	}
	if _, err := b.Tokens(t.Context(), u); !errors.Is(err, signer.ErrUnsupported) {
		t.Errorf("tokens: %v, want ErrUnsupported", err)
	}
	if found, err := b.Find(t.Context(), nil); err != nil || !found.IsZero() {
		t.Errorf("find: %v, %v; want nothing", found, err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}
