package file

import (
	"context"
	"crypto"
	"fmt"
	"os"
	"sync"

	"github.com/fleet-hsm/fleet-hsm/internal/wiresig"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

func fingerprint(pub crypto.PublicKey) string { return wiresig.Fingerprint(pub) }

// fileSigner is one key of a file.
type fileSigner struct {
	box *box
	ref signer.Ref
	ui  signer.UI

	mu     sync.Mutex
	key    crypto.Signer
	closed bool
}

func (s *fileSigner) URI() signer.URI { return s.ref.URI }

func (s *fileSigner) Public() crypto.PublicKey {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.key != nil {
		return s.key.Public()
	}
	return s.ref.Pinned
}

// Unlock asks for the passphrase if nobody has yet, and picks the key.
func (s *fileSigner) Unlock(ctx context.Context) error {
	if err := s.unlock(ctx); err != nil {
		return &signer.KeyError{Op: "opening key", URI: s.ref.URI, Err: err}
	}
	return nil
}

func (s *fileSigner) unlock(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.box.isClosed() {
		return os.ErrClosed
	}
	if s.key != nil {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: %w", signer.ErrCanceled, err)
	}
	if err := s.box.unlock(ctx, s.ref, s.ui); err != nil {
		return err
	}
	key, err := s.box.choose(s.ref)
	if err != nil {
		return err
	}
	s.key = key
	return nil
}

func (s *fileSigner) Sign(ctx context.Context, message []byte) ([]byte, error) {
	sig, err := s.sign(ctx, message)
	if err != nil {
		return nil, &signer.KeyError{Op: "signing with key", URI: s.ref.URI, Err: err}
	}
	return sig, nil
}

func (s *fileSigner) sign(ctx context.Context, message []byte) ([]byte, error) {
	if err := s.unlock(ctx); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("%w: %w", signer.ErrCanceled, err)
	}
	s.mu.Lock()
	key, closed := s.key, s.closed
	s.mu.Unlock()
	if closed {
		return nil, os.ErrClosed
	}
	sig, err := wiresig.Sign(key, message)
	if err != nil {
		return nil, err
	}
	return sig, wiresig.Verify(key.Public(), message, sig)
}

func (s *fileSigner) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed, s.key = true, nil
	return nil
}
