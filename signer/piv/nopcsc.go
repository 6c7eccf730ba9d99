//go:build !cgo && !windows

package piv

import (
	"context"
	"crypto"

	"github.com/fleet-hsm/fleet-hsm/signer"
)

// Backend stands in for the real one in a build without PC/SC.
type Backend struct{}

// New gives a backend whose answer is signer.UnsupportedError.
func New(Options) *Backend { return &Backend{} }

func unsupported() error {
	return &signer.UnsupportedError{What: "piv:", Why: "built without PIV support (cgo was off)"}
}

// Open implements signer.Backend.
func (b *Backend) Open(context.Context, signer.Ref, signer.UI) (signer.Signer, error) {
	return nil, unsupported()
}

// Generate implements signer.Generator.
func (b *Backend) Generate(context.Context, signer.Ref, signer.GenerateOptions, signer.UI) (signer.Generated, error) {
	return signer.Generated{}, unsupported()
}

// Tokens implements signer.Tokener.
func (b *Backend) Tokens(context.Context, signer.URI) ([]signer.Token, error) {
	return nil, unsupported()
}

// Find implements signer.Finder: nothing is found.
func (b *Backend) Find(context.Context, crypto.PublicKey) (signer.URI, error) {
	return signer.URI{}, nil
}

// Keys implements signer.KeyLister.
func (b *Backend) Keys(context.Context, signer.Ref, signer.UI) ([]signer.KeyInfo, error) {
	return nil, unsupported()
}

// Describe implements signer.Describer.
func (b *Backend) Describe(context.Context, signer.Ref, signer.UI) (signer.KeyInfo, error) {
	return signer.KeyInfo{}, unsupported()
}

// Attest implements signer.Attester.
func (b *Backend) Attest(context.Context, signer.Ref, []byte) (signer.Attestation, error) {
	return signer.Attestation{}, unsupported()
}

// Probe implements signer.Prober.
func (b *Backend) Probe(context.Context, signer.Ref) []signer.Finding {
	err := unsupported()
	return []signer.Finding{{Code: "piv-unsupported", Text: err.Error(), Err: err}}
}

// Report implements signer.Reporter.
func (b *Backend) Report(context.Context, signer.URI) ([]signer.Report, error) {
	return nil, unsupported()
}

// Setup implements signer.SetterUp.
func (b *Backend) Setup(context.Context, signer.URI, signer.SetupOptions, signer.UI) (signer.Token, error) {
	return signer.Token{}, unsupported()
}

// Close implements io.Closer.
func (b *Backend) Close() error { return nil }
