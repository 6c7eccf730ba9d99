//go:build cgo || windows

package piv

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-piv/piv-go/v2/piv"

	"github.com/fleet-hsm/fleet-hsm/signer"
)

// session is a card during one visit: open, exclusively ours, in one goroutine.
type session struct {
	ctx    context.Context
	b      *Backend
	yk     *piv.YubiKey // nil from direct to reopen
	reader string
	// touch tells the caller's goroutine that the card may wait for a touch now.
	touch func()
}

// transaction describes one visit to a card.
type transaction struct {
	reader string
	limit  time.Duration // from the connection to the end
	busy   time.Duration // how long to wait for another program's card
	// touching is called in the caller's goroutine when f calls session.touch; the
	// function it returns when the visit is over. May be nil.
	touching func(context.Context) (done func())
}

// errStopped: the visit noticed that nobody waits for it any more.
var errStopped = errors.New("stopped")

// abandonedError: the visit did not come back. Whoever gets it must not use what
// the visit was to bring.
type abandonedError struct{ err error }

func (e *abandonedError) Error() string { return e.err.Error() }
func (e *abandonedError) Unwrap() error { return e.err }

// absentError: the card was gone before anything was asked of it.
type absentError struct{ err error }

func (e *absentError) Error() string { return e.err.Error() }
func (e *absentError) Unwrap() error { return e.err }

// exchange connects to the card in a reader, runs f with it and closes it. f runs in
// a goroutine of its own and is left behind when ctx or the visit's time ends: PC/SC
// calls cannot be canceled. It must look at session.ctx before each step that costs
// something, and the caller must not read what f writes if there is an error.
func (b *Backend) exchange(ctx context.Context, v transaction, f func(*session) error) error {
	if err := canceled(ctx); err != nil {
		return err
	}
	ours, cancel := context.WithTimeout(ctx, v.limit+v.busy)
	defer cancel()
	lock := b.lock(v.reader)
	if err := take(ours, lock); err != nil {
		return ended(ctx, "an earlier call to the card has not come back")
	}
	result, touching := make(chan error, 1), make(chan struct{})
	go func() {
		defer func() { <-lock }()
		result <- shielded(func() error { return b.run(ours, v, touching, f) })
	}()
	done := func() {}
	defer func() { done() }()
	for {
		select {
		case err := <-result:
			if errors.Is(err, errStopped) {
				return ended(ctx, "the card did not answer")
			}
			return classify(err)
		case <-touching:
			if v.touching != nil {
				done = sync.OnceFunc(v.touching(ctx))
			}
			touching = nil // announced once
		case <-ours.Done():
			return &abandonedError{err: ended(ctx, "the card did not answer")}
		}
	}
}

// shielded makes an error of what falls over on a card's answer: piv-go reads some of them
// without looking at their length.
func shielded(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &causeError{cause: signer.ErrDevice, err: fmt.Errorf("its answer cannot be read: %v", r)}
		}
	}()
	return f()
}

// ended tells a canceled command from a card that takes too long.
func ended(ctx context.Context, text string) error {
	if err := canceled(ctx); err != nil {
		return err
	}
	return &causeError{cause: signer.ErrDeadline, err: errors.New(text)}
}

func (b *Backend) lock(reader string) chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	l, ok := b.readers[reader]
	if !ok {
		l = make(chan struct{}, 1)
		b.readers[reader] = l
	}
	return l
}

// run is the visit itself.
func (b *Backend) run(ctx context.Context, v transaction, touching chan<- struct{}, f func(*session) error) error {
	yk, err := b.connect(ctx, v.reader, v.busy)
	if err != nil {
		return err
	}
	s := &session{ctx: ctx, b: b, yk: yk, reader: v.reader}
	defer s.leave()
	if ctx.Err() != nil {
		return errStopped
	}
	s.touch = sync.OnceFunc(func() {
		select {
		case touching <- struct{}{}:
		case <-ctx.Done():
		}
	})
	return f(s)
}

// connect opens a card with piv-go.
func (b *Backend) connect(ctx context.Context, reader string, busy time.Duration) (*piv.YubiKey, error) {
	denied := false
	yk, err := connect(ctx, busy, func() (*piv.YubiKey, error) {
		yk, err := piv.Open(reader)
		if pcscCode(err) == codeSecurity && !denied {
			if denied = true; pause(ctx, b.second) == nil {
				yk, err = piv.Open(reader)
			}
		}
		if held := b.leaked(reader); pcscCode(err) == codeSharing && held != nil {
			return nil, held
		}
		return yk, err
	})
	if err != nil {
		return nil, b.connectError(reader, err)
	}
	return yk, nil
}

// connect asks again every 100 ms while another program holds the card.
func connect[C any](ctx context.Context, busy time.Duration, open func() (C, error)) (C, error) {
	for until := time.Now().Add(busy); ; {
		c, err := open()
		if pcscCode(err) != codeSharing || !time.Now().Before(until) {
			return c, err
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return c, err
		}
	}
}

func (b *Backend) connectError(reader string, err error) error {
	if typed(err) {
		return err
	}
	st, cause := status(err), causeOf(err)
	switch {
	case st == statusNoObject || st == statusUnknownINS || st == statusNoFunction:
		err = &signer.UnsupportedError{What: fmt.Sprintf("the card in reader %q", reader), Why: "it has no PIV application that piv-go knows"}
	case cause == signer.ErrNoToken && pcscCode(err) != codeNotTransacted:
		return &absentError{err: classify(err)}
	default:
		err = classify(fmt.Errorf("reader %q: %w", reader, err))
	}
	if st != 0 || cause == signer.ErrDevice || pcscCode(err) == codeNotTransacted {
		b.leak(reader, err)
	}
	return err
}

// leak remembers that piv.Open failed after it had connected. piv-go v2.6.0 then
// keeps the connection, which nothing but the end of the process gives back: from now
// on the reader is busy, and the reason is that first error.
func (b *Backend) leak(reader string, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.leaks[reader] = err
}

// leaked gives the error that left a connection behind, nil if none did.
func (b *Backend) leaked(reader string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.leaks[reader]; err != nil {
		return fmt.Errorf("%w (this process itself still holds the card; start again)", err)
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return errStopped
	}
}

// ctxErr is nil as long as the visit is wanted.
func (s *session) ctxErr() error {
	if s.ctx.Err() != nil {
		return errStopped
	}
	return nil
}
