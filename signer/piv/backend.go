//go:build cgo || windows

package piv

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/fleet-hsm/fleet-hsm/signer"
)

// Backend opens keys on PIV cards. It remembers the PIN of each card until it is
// closed. It is safe for concurrent use.
type Backend struct {
	opts Options
	// touchWait is after how long a refused signature means a touch that did not
	// come, for a key whose touch policy nobody knows (SIGNERS: 10 s).
	touchWait time.Duration
	// grace is how long the PC/SC daemon is left alone with a card that was just
	// inserted: it notices cards every 400 ms, and a card that was pulled out and put
	// back in between fails at the first command, which costs piv-go its connection.
	grace time.Duration
	// second is after how long the daemon is asked once more whether it refuses this user.
	second time.Duration
	// settle is how long the card may then take to appear.
	settle time.Duration

	mu      sync.Mutex
	closed  bool
	readers map[string]chan struct{} // held during one visit, by reader
	holders map[string]*holder       // by card
	leaks   map[string]error         // readers that piv-go may still hold; see leak
}

// holder is what the backend knows of the person at one card.
type holder struct {
	turn chan struct{} // held from the question for a PIN to the signature
	pin  signer.Secret // verified; empty if none
	// failed is what became of a PIN that was wrong; nobody is asked again.
	failed error
}

var errClosed = errors.New("backend is closed")

// New gives a backend that has touched nothing yet.
func New(opts Options) *Backend {
	if opts.Deadline <= 0 {
		opts.Deadline = 30 * time.Second
	}
	if opts.BusyFor <= 0 {
		opts.BusyFor = 5 * time.Second
	}
	return &Backend{
		opts: opts, touchWait: 10 * time.Second,
		grace: 500 * time.Millisecond, settle: 2 * time.Second, second: 200 * time.Millisecond,
		readers: map[string]chan struct{}{}, holders: map[string]*holder{}, leaks: map[string]error{},
	}
}

// Close forgets every PIN. Signers of a closed backend sign no more. It is
// idempotent and does not wait for a card.
func (b *Backend) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	for _, h := range b.holders {
		h.pin.Forget()
		h.pin = signer.Secret{}
	}
	return nil
}

// take waits for a lock of capacity one.
func take(ctx context.Context, lock chan struct{}) error {
	select {
	case lock <- struct{}{}:
		return nil
	case <-ctx.Done():
		return canceled(ctx)
	}
}

// turn waits until nobody else asks for, or uses, the PIN of a card.
func (b *Backend) turn(ctx context.Context, c card) (*holder, func(), error) {
	b.mu.Lock()
	h, ok := b.holders[c.id()]
	if !ok {
		h = &holder{turn: make(chan struct{}, 1)}
		b.holders[c.id()] = h
	}
	closed := b.closed
	b.mu.Unlock()
	if closed {
		return nil, nil, errClosed
	}
	if err := canceled(ctx); err != nil {
		return nil, nil, err
	}
	if err := take(ctx, h.turn); err != nil {
		return nil, nil, err
	}
	return h, func() { <-h.turn }, nil
}

// known gives the PIN that was verified before, or what became of a wrong one.
func (b *Backend) known(h *holder) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return "", errClosed
	}
	return string(h.pin.Unwrap()), h.failed
}

// remember keeps a PIN that the card accepted.
func (b *Backend) remember(h *holder, pin string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	h.pin, h.failed = signer.NewSecret([]byte(pin)), nil
}

// forget drops a PIN; failed says why nobody is to be asked again, nil if they may.
func (b *Backend) forget(h *holder, failed error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	h.pin.Forget()
	h.pin, h.failed = signer.Secret{}, failed
}

// canceled tells that the context has ended, matching both ErrCanceled and the
// context's own error.
func canceled(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	return &causeError{cause: signer.ErrCanceled, err: context.Cause(ctx)}
}
