//go:build cgo

package pkcs11

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fleet-hsm/fleet-hsm/signer"
)

// DeadlineError: a call into the module did not come back in time. The module is
// refused as long as the call is out. It matches signer.ErrDeadline.
type DeadlineError struct {
	Doing string // "C_Sign" or what was being done
	After time.Duration
	Path  string // the module
}

func (e *DeadlineError) Error() string {
	return fmt.Sprintf("PKCS#11 module %q did not answer within %v while %s", e.Path, e.After, e.Doing)
}

// Is makes errors.Is(err, signer.ErrDeadline) hold.
func (e *DeadlineError) Is(target error) bool { return target == signer.ErrDeadline }

// hanging refuses a module that has not come back from an earlier call.
func (m *module) hanging(doing string) error {
	if m.stuck.Load() == 0 {
		return nil
	}
	return fmt.Errorf("%s: %w: an earlier call into PKCS#11 module %q has not come back", doing, signer.ErrDeadline, m.path)
}

// run makes calls into C: f runs in a goroutine that is left behind when the deadline
// passes or ctx ends, because C calls cannot be interrupted. f must put its results
// where only it and, after a nil error, the caller look. exclusive takes the write
// side of the module's lock.
func (m *module) run(ctx context.Context, doing string, limit time.Duration, exclusive bool, f func() error) error {
	if err := canceled(ctx); err != nil {
		return err
	}
	if err := m.hanging(doing); err != nil {
		return err
	}
	w := m.idle.take(m)
	start := time.Now()
	w.start(job{exclusive, f}, limit)
	select {
	case err := <-w.done:
		return w.finished(err)
	case <-w.timer.C:
		if !w.giveUp(jobOut) {
			return w.finished(<-w.done)
		}
		return &DeadlineError{Doing: doing, After: limit, Path: m.path}
	case <-ctx.Done():
		if !w.state.CompareAndSwap(jobOut, jobLeft) {
			return w.finished(<-w.done)
		}
		// The call may well come back in its time; only if it does not is the module
		// at fault.
		time.AfterFunc(limit-time.Since(start), func() { w.giveUp(jobLeft) })
		return canceled(ctx)
	}
}

// worker is a goroutine that goes into C, one job at a time. Workers are kept: a new
// goroutine for each signature spends its time on growing its stack.
type worker struct {
	m     *module
	in    chan job     // one at a time, so never blocking
	done  chan error   // likewise: nobody may be listening any more
	timer *time.Timer  // the deadline of the job
	state atomic.Int32 // of the job
}

type job struct {
	exclusive bool
	f         func() error
}

const (
	jobOut   int32 = iota // in C, or on its way
	jobBack               // returned in time
	jobLeft               // its caller has gone; not late yet
	jobStuck              // late
)

func (w *worker) start(j job, limit time.Duration) {
	w.state.Store(jobOut)
	w.timer.Reset(limit)
	w.in <- j
}

func (w *worker) loop() {
	for j := range w.in {
		err := w.m.locked(j.exclusive, j.f)
		if w.state.CompareAndSwap(jobOut, jobBack) {
			w.done <- err
			continue
		}
		// Nobody waits for this one, and nobody knows this worker any more.
		if !w.state.CompareAndSwap(jobLeft, jobBack) {
			w.m.stuck.Add(-1) // it was late, and here it is
		}
		return
	}
}

// finished takes the worker back.
func (w *worker) finished(err error) error {
	w.timer.Stop()
	w.m.idle.put(w)
	return err
}

// giveUp marks a job as stuck, unless it came back this instant.
func (w *worker) giveUp(from int32) bool {
	w.m.stuck.Add(1)
	if w.state.CompareAndSwap(from, jobStuck) {
		return true
	}
	w.m.stuck.Add(-1)
	return false
}

// idle keeps the workers that have nothing to do, the last one on top.
type idle struct {
	mu      sync.Mutex
	workers []*worker
}

// maxIdle bounds the goroutines that are kept.
const maxIdle = 16

func (i *idle) take(m *module) *worker {
	i.mu.Lock()
	defer i.mu.Unlock()
	if n := len(i.workers); n > 0 {
		w := i.workers[n-1]
		i.workers = i.workers[:n-1]
		return w
	}
	w := &worker{m: m, in: make(chan job, 1), done: make(chan error, 1), timer: time.NewTimer(time.Hour)}
	w.timer.Stop()
	go w.loop()
	return w
}

func (i *idle) put(w *worker) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.workers) == maxIdle || w.m.users.Load() == 0 {
		close(w.in)
		return
	}
	i.workers = append(i.workers, w)
}

// dismiss ends the workers of a module that nobody uses.
func (i *idle) dismiss() {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, w := range i.workers {
		close(w.in)
	}
	i.workers = nil
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
