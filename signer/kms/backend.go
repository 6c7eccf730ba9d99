package kms

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"sync"

	"github.com/fleet-hsm/fleet-hsm/internal/wiresig"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

// Backend opens keys in a KMS. It holds nothing open: each call is a process of its own.
type Backend struct {
	opts  Options
	turns chan struct{}

	mu     sync.Mutex
	known  map[string]crypto.PublicKey // by URI, until a signature fails
	closed bool
}

var (
	_ signer.Backend   = (*Backend)(nil)
	_ signer.Generator = (*Backend)(nil)
	_ signer.KeyLister = (*Backend)(nil)
	_ signer.Describer = (*Backend)(nil)
	_ signer.Prober    = (*Backend)(nil)
)

var errClosed = errors.New("it was closed")

// New makes a backend. No program is started before a key is asked for.
func New(o Options) *Backend {
	return &Backend{opts: o, turns: make(chan struct{}, maxCalls), known: map[string]crypto.PublicKey{}}
}

// Close implements io.Closer; signers of the backend sign no more.
func (b *Backend) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	return nil
}

// turn waits until few enough plug-ins run.
func (b *Backend) turn(ctx context.Context) error {
	b.mu.Lock()
	closed := b.closed
	b.mu.Unlock()
	if closed {
		return errClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case b.turns <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (b *Backend) giveTurn() { <-b.turns }

func failed(op string, u signer.URI, err error) error {
	return &signer.KeyError{Op: op, URI: u, Err: err}
}

// Open implements signer.Backend: it reads the public key and compares it with the pinned
// one. Errors: *signer.KeyChangedError, or *signer.KeyError around those of this package.
func (b *Backend) Open(ctx context.Context, ref signer.Ref, ui signer.UI) (signer.Signer, error) {
	pub, err := b.public(ctx, ref.URI, ui)
	if err == nil {
		err = same(ref, pub)
	}
	if err != nil {
		return nil, failed("opening key", ref.URI, err)
	}
	return &key{b: b, uri: ref.URI, pub: pub, ui: ui}, nil
}

// same refuses another key than the pinned one.
func same(ref signer.Ref, pub crypto.PublicKey) error {
	if ref.Pinned == nil || signer.SamePublic(ref.Pinned, pub) {
		return nil
	}
	return &signer.KeyChangedError{URI: ref.URI, Want: wiresig.Fingerprint(ref.Pinned), Have: wiresig.Fingerprint(pub)}
}

// public gives the public key of u, which is read once.
func (b *Backend) public(ctx context.Context, u signer.URI, ui signer.UI) (crypto.PublicKey, error) {
	b.mu.Lock()
	pub := b.known[u.String()]
	b.mu.Unlock()
	if pub != nil {
		return pub, nil
	}
	pub, err := b.readPublic(ctx, u, ui)
	if err == nil {
		b.mu.Lock()
		b.known[u.String()] = pub
		b.mu.Unlock()
	}
	return pub, err
}

func (b *Backend) readPublic(ctx context.Context, u signer.URI, ui signer.UI) (crypto.PublicKey, error) {
	c, a, err := b.do(ctx, u, ui, methodPublicKey, "", nil)
	if err != nil {
		return nil, err
	}
	if a.PublicKey == nil {
		return nil, c.wrong("holds no public key")
	}
	return c.parsePublic(a.PublicKey.PEM)
}

// forget makes the next use of a key read its public part again.
func (b *Backend) forget(u signer.URI) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.known, u.String())
}

// Describe implements signer.Describer.
func (b *Backend) Describe(ctx context.Context, ref signer.Ref, ui signer.UI) (signer.KeyInfo, error) {
	s, err := b.Open(ctx, ref, ui)
	if err != nil {
		return signer.KeyInfo{}, err
	}
	alg, err := signer.AlgorithmOf(s.Public())
	if err != nil {
		return signer.KeyInfo{}, failed("reading the public part of", ref.URI, err)
	}
	return signer.KeyInfo{
		URI: s.URI(), Public: s.Public(), Algorithm: alg, Token: signer.Token{Kind: kind.Scheme, Label: programOf(ref.URI)},
		Warnings: []string{"a KMS proves neither where the key was made nor who may use it; whoever administers it can"},
	}, nil
}

// Keys implements signer.KeyLister: the one key that a URI names.
func (b *Backend) Keys(ctx context.Context, ref signer.Ref, ui signer.UI) ([]signer.KeyInfo, error) {
	info, err := b.Describe(ctx, ref, ui)
	if err != nil {
		return nil, err
	}
	return []signer.KeyInfo{info}, nil
}

// Probe implements signer.Prober: from the program to the public key; nothing is signed.
// The codes of the findings: program, or the code of the *ProgramError; key, or
// key-changed, key-absent, kms.
func (b *Backend) Probe(ctx context.Context, ref signer.Ref) []signer.Finding {
	path, err := b.opts.find(programOf(ref.URI))
	var pe *ProgramError
	if errors.As(err, &pe) {
		return []signer.Finding{{Code: pe.Code, Text: err.Error(), Err: err}}
	}
	out := []signer.Finding{{Code: "program", OK: true, Text: fmt.Sprintf("plug-in %q counts; nobody but the user and root can change it", path)}}
	b.forget(ref.URI)
	pub, err := b.public(ctx, ref.URI, nil)
	if err == nil {
		err = same(ref, pub)
	}
	switch {
	case errors.Is(err, signer.ErrKeyChanged):
		return append(out, signer.Finding{Code: "key-changed", Text: err.Error(), Err: err})
	case errors.Is(err, signer.ErrKeyNotFound):
		return append(out, signer.Finding{Code: "key-absent", Text: err.Error(), Err: err})
	case err != nil:
		return append(out, signer.Finding{Code: "kms", Text: err.Error(), Err: err})
	case ref.Pinned == nil:
		return append(out, signer.Finding{Code: "key", OK: true, Text: "the KMS shows the public key"})
	}
	return append(out, signer.Finding{Code: "key", OK: true, Text: "the key is the expected one"})
}
