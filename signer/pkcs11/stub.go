//go:build !cgo

package pkcs11

import (
	"context"
	"crypto"

	"github.com/fleet-hsm/fleet-hsm/signer"
)

// Backend, in a build without cgo, knows the URIs and says why it cannot serve them.
type Backend struct{}

var (
	_ signer.Backend   = (*Backend)(nil)
	_ signer.Generator = (*Backend)(nil)
	_ signer.Tokener   = (*Backend)(nil)
	_ signer.Finder    = (*Backend)(nil)
	_ signer.KeyLister = (*Backend)(nil)
	_ signer.Describer = (*Backend)(nil)
	_ signer.Prober    = (*Backend)(nil)
	_ signer.SetterUp  = (*Backend)(nil)
)

// New makes a backend that answers every request with *signer.UnsupportedError.
func New(Options) *Backend { return &Backend{} }

func unsupported() error {
	return &signer.UnsupportedError{What: "keys of the kind pkcs11:", Why: "this program was built without PKCS#11 support (CGO_ENABLED=0)"}
}

// Open implements signer.Backend.
func (*Backend) Open(context.Context, signer.Ref, signer.UI) (signer.Signer, error) {
	return nil, unsupported()
}

// Generate implements signer.Generator.
func (*Backend) Generate(context.Context, signer.Ref, signer.GenerateOptions, signer.UI) (signer.Generated, error) {
	return signer.Generated{}, unsupported()
}

// Tokens implements signer.Tokener.
func (*Backend) Tokens(context.Context, signer.URI) ([]signer.Token, error) {
	return nil, unsupported()
}

// Find implements signer.Finder: no key is to be seen from here.
func (*Backend) Find(context.Context, crypto.PublicKey) (signer.URI, error) {
	return signer.URI{}, nil
}

// Keys implements signer.KeyLister.
func (*Backend) Keys(context.Context, signer.Ref, signer.UI) ([]signer.KeyInfo, error) {
	return nil, unsupported()
}

// Describe implements signer.Describer.
func (*Backend) Describe(context.Context, signer.Ref, signer.UI) (signer.KeyInfo, error) {
	return signer.KeyInfo{}, unsupported()
}

// Probe implements signer.Prober.
func (*Backend) Probe(context.Context, signer.Ref) []signer.Finding {
	return []signer.Finding{{Code: "pkcs11-unsupported", Text: unsupported().Error(), Err: unsupported()}}
}

// Setup implements signer.SetterUp.
func (*Backend) Setup(context.Context, signer.URI, signer.SetupOptions, signer.UI) (signer.Token, error) {
	return signer.Token{}, unsupported()
}

// Close does nothing.
func (*Backend) Close() error { return nil }
