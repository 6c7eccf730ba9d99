//go:build cgo

package pkcs11

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	p11 "github.com/miekg/pkcs11"
)

// conn is one connection to a token: a session that holds the login, and a pool of
// sessions that sign. Closing the last session of a token logs out and voids every
// handle, so the held one stays open as long as the connection.
type conn struct {
	t     *token
	epoch int // of the module when it was made
	slot  slot
	held  p11.SessionHandle
	// holding is locked while a call uses held: a session is for one call at a time. It
	// is locked in the goroutine that is in C, which may outlive its caller.
	holding sync.Mutex
	rw      bool        // held may write
	dead    atomic.Bool // lost: its handles may belong to somebody else now

	loggedIn atomic.Bool

	// permits bounds the sessions in use. A permit that is never given back shrinks
	// the pool for good.
	permits chan struct{}

	mu       sync.Mutex
	free     []p11.SessionHandle // last in, first out: a single user needs one
	open     int                 // pooled sessions, in use or free
	heldSign bool                // the token has one session only: the held one signs
	keys     map[string]keyHandle
	shown    map[string]bool // keys whose public half the token showed, and it was the right one
}

func newConn(t *token, s slot) *conn {
	n := t.opts.sessions()
	// 0 is "unlimited" and all ones "not stated" (PKCS#11, CK_TOKEN_INFO).
	if limit := s.info.MaxSessionCount; limit > 0 && limit < 1<<30 && int(limit)-1 < n {
		n = int(limit) - 1
	}
	c := &conn{t: t, epoch: t.m.epoch, slot: s, keys: map[string]keyHandle{}, shown: map[string]bool{}}
	if n < 1 {
		n, c.heldSign = 1, true
	}
	c.permits = make(chan struct{}, n)
	return c
}

// run makes calls on this connection. They do not happen on a connection that was
// lost meanwhile.
func (c *conn) run(ctx context.Context, doing string, f func(l lib) error) error {
	return c.runFor(ctx, doing, c.t.opts.timeout(), f)
}

func (c *conn) runFor(ctx context.Context, doing string, limit time.Duration, f func(l lib) error) error {
	return c.t.m.run(ctx, doing, limit, false, func() error {
		if c.dead.Load() || c.epoch != c.t.m.epoch {
			return errStale
		}
		return f(c.t.m.lib)
	})
}

// onHeld is runFor with the session that holds the login.
func (c *conn) onHeld(ctx context.Context, doing string, f func(l lib, s p11.SessionHandle) error) error {
	return c.onHeldFor(ctx, doing, c.t.opts.timeout(), f)
}

func (c *conn) onHeldFor(ctx context.Context, doing string, limit time.Duration, f func(l lib, s p11.SessionHandle) error) error {
	return c.runFor(ctx, doing, limit, func(l lib) error {
		c.holding.Lock()
		defer c.holding.Unlock()
		return f(l, c.held)
	})
}

// alone is runFor with the module to itself.
func (c *conn) alone(ctx context.Context, doing string, limit time.Duration, f func(l lib) error) error {
	return c.t.m.run(ctx, doing, limit, true, func() error {
		if c.dead.Load() || c.epoch != c.t.m.epoch {
			return errStale
		}
		return f(c.t.m.lib)
	})
}

// closeSessions closes the sessions of a connection, as far as they are still there. The
// caller has the module to itself.
func (c *conn) closeSessions(logout bool) {
	l := c.t.m.lib
	if c.epoch != c.t.m.epoch {
		return
	}
	if info, err := l.sessionInfo(c.held); err != nil || info.SlotID != c.slot.id {
		return // not ours any more
	}
	for _, s := range c.free {
		if s != c.held {
			l.close(s)
		}
	}
	c.free = nil
	// A login is the whole process's. Where somebody else uses the module too, closing
	// our sessions must do.
	if logout && c.loggedIn.Load() && c.t.m.owner && c.t.m.users.Load() == 1 {
		_ = l.logout(c.held)
	}
	l.close(c.held)
}

// errPoolFull: the token gives no more sessions, but some of ours will come free.
var errPoolFull = errors.New("the token gives no more sessions")

// session takes a session of the pool: the one that was used last, or a new one. The
// caller holds a permit.
func (c *conn) session(l lib) (p11.SessionHandle, error) {
	c.mu.Lock()
	if n := len(c.free); n > 0 {
		s := c.free[n-1]
		c.free = c.free[:n-1]
		c.mu.Unlock()
		return s, nil
	}
	if c.heldSign {
		defer c.mu.Unlock()
		if c.open > 0 {
			return 0, errPoolFull
		}
		c.open = 1
		return c.held, nil
	}
	c.open++ // before the call: others see that one is on its way
	c.mu.Unlock()
	s, err := l.open(c.slot.id, false)
	if err == nil {
		return s, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open--
	if codeOf(err) != ckrSessionCount {
		return 0, err
	}
	if c.open > 0 {
		return 0, errPoolFull
	}
	c.heldSign, c.open = true, 1
	return c.held, nil
}

func (c *conn) putBack(s p11.SessionHandle) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.free = append(c.free, s)
}

// drop closes a session whose state nobody knows. The held one cannot be closed
// alone, so with it the connection goes.
func (c *conn) drop(l lib, s p11.SessionHandle) {
	if s == c.held {
		c.dead.Store(true)
		return
	}
	l.close(s)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open--
}

// onSession runs f with a session of its own. f says whether the session may be used
// again.
func (c *conn) onSession(ctx context.Context, doing string, limit time.Duration, f func(l lib, s p11.SessionHandle) (clean bool, err error)) error {
	for {
		select {
		case c.permits <- struct{}{}:
		case <-ctx.Done():
			return canceled(ctx)
		}
		var once sync.Once
		release := func() { once.Do(func() { <-c.permits }) }
		var started atomic.Bool
		err := c.runFor(ctx, doing, limit, func(l lib) error {
			started.Store(true)
			s, err := c.session(l)
			if err != nil {
				if !errors.Is(err, errPoolFull) {
					release()
				}
				return err
			}
			// The goroutine gives the permit back, not the caller: the caller may have
			// gone while the call is still out.
			defer release()
			if s == c.held {
				c.holding.Lock()
				defer c.holding.Unlock()
			}
			reusable, err := f(l, s)
			if reusable {
				c.putBack(s)
			} else {
				c.drop(l, s)
			}
			return err
		})
		if errors.Is(err, errPoolFull) {
			continue // this permit stays out: the pool is as large as it can be
		}
		if !started.Load() {
			release()
		}
		return err
	}
}
