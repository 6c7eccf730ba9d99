//go:build cgo

package pkcs11

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fleet-hsm/fleet-hsm/signer"
)

// hanging refuses a module that has not come back from an earlier call.
func (m *module) hanging(doing string) error {
	if m.stuck.Load() == 0 {
		return nil
	}
	return fmt.Errorf("%s: %w: an earlier call into PKCS#11 module %q has not come back", doing, signer.ErrDeadline, m.path)
}

// run makes calls into C: f runs in a goroutine that is left behind when the deadline
// passes or ctx ends, because C calls cannot be interrupted. f must put its results where
// only it and, after a nil error, the caller look. exclusive takes the write side of the
// module's lock.
func (m *module) run(ctx context.Context, doing string, limit time.Duration, exclusive bool, f func() error) error {
	if err := canceled(ctx); err != nil {
		return err
	}
	if err := m.hanging(doing); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- m.locked(exclusive, f) }()
	deadline := time.NewTimer(limit)
	select {
	case err := <-done:
		deadline.Stop()
		return err
	case <-deadline.C:
		m.stuck.Add(1) // before the caller hears of it
		go m.awaitStuck(done)
		return &DeadlineError{Doing: doing, After: limit, Path: m.path}
	case <-ctx.Done():
		go m.awaitLeft(done, deadline)
		return canceled(ctx)
	}
}

// awaitStuck takes the module back when a late call returns.
func (m *module) awaitStuck(done <-chan error) {
	<-done
	m.stuck.Add(-1)
}

// awaitLeft watches a call whose caller has gone. It may well come back in its time;
// only if it does not is the module at fault.
func (m *module) awaitLeft(done <-chan error, deadline *time.Timer) {
	defer deadline.Stop()
	select {
	case <-done:
	case <-deadline.C:
		m.stuck.Add(1)
		m.awaitStuck(done)
	}
}

func (m *module) locked(exclusive bool, f func() error) error {
	if exclusive || m.oneAtATime.Load() {
		m.mu.Lock()
		defer m.mu.Unlock()
	} else {
		m.mu.RLock()
		defer m.mu.RUnlock()
	}
	return f()
}

// canceled gives the error of a context that has ended: signer.ErrCanceled, or
// signer.ErrDeadline where its own deadline passed. The context's error stays in it.
func canceled(ctx context.Context) error {
	switch err := ctx.Err(); {
	case err == nil:
		return nil
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w: %w", signer.ErrDeadline, err)
	default:
		return fmt.Errorf("%w: %w", signer.ErrCanceled, err)
	}
}
