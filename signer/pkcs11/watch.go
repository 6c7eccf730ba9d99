//go:build cgo

package pkcs11

import (
	"sync"
	"time"
)

// watch looks after the deadlines of a module's calls. It has one timer for all of
// them, set about once in the time of a deadline: setting one for each signature would
// wake a processor each time.
type watch struct {
	mu    sync.Mutex
	calls []*out
	timer *time.Timer
	at    time.Time // when it goes off; zero: it is not set
}

func (w *watch) add(o *out) {
	w.mu.Lock()
	defer w.mu.Unlock()
	o.index = len(w.calls)
	w.calls = append(w.calls, o)
	w.by(o.until)
}

func (w *watch) remove(o *out) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.drop(o)
}

// drop takes a call off the list, if it is there. The caller holds mu.
func (w *watch) drop(o *out) {
	if o.index < 0 {
		return
	}
	last := len(w.calls) - 1
	w.calls[o.index] = w.calls[last]
	w.calls[o.index].index = o.index
	w.calls[last] = nil
	w.calls = w.calls[:last]
	o.index = -1
}

// by has the timer go off at that time at the latest. The caller holds mu.
func (w *watch) by(at time.Time) {
	if !w.at.IsZero() && !at.Before(w.at) {
		return
	}
	w.at = at
	if w.timer == nil {
		w.timer = time.AfterFunc(time.Until(at), w.look)
		return
	}
	w.timer.Reset(time.Until(at))
}

// look finds the calls that are late, and sets the timer for the next one.
func (w *watch) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at = time.Time{}
	now := time.Now()
	for i := len(w.calls) - 1; i >= 0; i-- {
		o := w.calls[i]
		if !o.until.After(now) {
			w.drop(o)
			go o.overdue()
			continue
		}
		w.by(o.until)
	}
}
