//go:build cgo

package pkcs11

import (
	"context"
	"iter"
	"sync/atomic"
	"time"
)

// out is one call that is out in C, with a caller who can be called away from it.
//
// A goroutine cannot leave a C call, so f needs a goroutine that is not the caller's.
// Handing over by channels wakes an idle processor twice, which costs a third of what
// SoftHSM takes for a signature (docs/performance.md). iter.Pull's next and yield hand
// over directly: the caller goes to sleep in next, f runs on the same thread, and where
// it comes back in time its end wakes the caller, and no processor is woken at all. Where
// it does not, the goroutine that noticed (the deadline's, or the context's) calls yield
// in its place: that wakes the caller, and sleeps until f comes back, if ever. The state
// says who of the three was first, so yield has one caller, as package iter wants it.
//
// The price: a goroutine that is locked to its OS thread (runtime.LockOSThread) cannot
// be called away. The Go runtime ends the process where that is tried.
type out struct {
	m     *module
	f     func() error
	late  *DeadlineError
	until time.Time

	state atomic.Int32
	err   error               // of f, for whoever finds callBack
	yield func(struct{}) bool // calls the caller away
	why   error               // it was called away
	gone  chan struct{}       // closed once it has gone
	index int                 // in watch.calls, or -1; the watch's
}

const (
	callOut   int32 = iota // in C, or on its way
	callBack               // returned
	callLeft               // its caller has gone; not late yet
	callStuck              // late
)

// run makes the call, and waits for it, for the deadline or for the end of ctx.
func (o *out) run(ctx context.Context) error {
	o.gone = make(chan struct{})
	next, _ := iter.Pull(func(yield func(struct{}) bool) {
		o.yield = yield
		o.m.watch.add(o)
		defer o.back(context.AfterFunc(ctx, func() { o.ended(canceled(ctx)) }))
		o.err = o.f()
	})
	if _, called := next(); called {
		close(o.gone)
		return o.why
	}
	return o.err
}

// back ends a call that has returned, whenever that is.
func (o *out) back(forget func() bool) {
	forget()
	o.m.watch.remove(o)
	if o.state.CompareAndSwap(callOut, callBack) {
		return // and with that wake the caller
	}
	if !o.state.CompareAndSwap(callLeft, callBack) {
		o.m.stuck.Add(-1) // it was late, and here it is
	}
	<-o.gone // until then the caller may be looking at what iter.Pull writes next
}

// ended calls the caller away because its context ended. The call may well come back
// in its time; only if it does not is the module at fault.
func (o *out) ended(why error) {
	if o.state.CompareAndSwap(callOut, callLeft) {
		o.callAway(why)
	}
}

// overdue marks a call as stuck, unless it came back this instant, and calls the caller
// away if it is still there.
func (o *out) overdue() {
	o.m.stuck.Add(1) // first: who is called away must find it
	switch {
	case o.state.CompareAndSwap(callOut, callStuck):
		o.callAway(o.late)
	case o.state.CompareAndSwap(callLeft, callStuck):
	default:
		o.m.stuck.Add(-1)
	}
}

// callAway wakes the caller. It does not return before the call does.
func (o *out) callAway(why error) {
	o.why = why
	o.yield(struct{}{})
}
