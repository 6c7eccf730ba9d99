//go:build cgo

package pkcs11

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"time"

	p11 "github.com/miekg/pkcs11"

	"github.com/fleet-hsm/fleet-hsm/signer"
)

const (
	// maxTries bounds how often one operation is tried on a token that comes and
	// goes; between two tries it waits backoff x the square of the tries so far.
	// Measured on SoftHSM with eight processes starting at once: five tries were enough
	// for 800 of 800 on a quiet machine, and half a second is for a busy one, where a
	// process may be stopped while it rewrites the token's file.
	maxTries = 6
	backoff  = 10 * time.Millisecond
	// triesVendorDefined bounds them for an error that only the module's maker understands.
	triesVendorDefined = 3
	// maxInAll bounds the tries while other goroutines get signatures in between: the
	// token is well then, and only this one had bad luck.
	maxInAll = 24
	// maxStale bounds how often an operation starts again only because another
	// goroutine has made a new connection meanwhile.
	maxStale = 1000
)

// errStale: the connection was replaced by another goroutine. Internal; the
// operation takes the new one.
var errStale = errors.New("the connection to the token was replaced")

// errClosed: use after Close.
var errClosed = errors.New("it is closed")

// permanentError ends the tries for an error that would otherwise be retryable.
type permanentError struct{ err error }

func (p permanentError) Error() string { return p.err.Error() }
func (p permanentError) Unwrap() error { return p.err }

// lock is a mutex that a context can give up on: what it guards may take as long as
// a person needs to type a PIN.
type lock chan struct{}

func newLock() lock { return make(lock, 1) }

func (l lock) take(ctx context.Context) error {
	select {
	case l <- struct{}{}:
		return nil
	default:
	}
	select {
	case l <- struct{}{}:
		return nil
	case <-ctx.Done():
		return canceled(ctx)
	}
}

func (l lock) give() { <-l }

// token is what a backend keeps for one token: the connection, and the PIN to make
// the next one.
type token struct {
	m    *module
	opts Options
	// match holds the token attributes of the URI that found it first, by which it
	// is found again.
	match signer.URI

	connecting lock
	cur        atomic.Pointer[conn]
	// level says how much of a reconnect is needed: 0 none, 1 a new session and login,
	// 2 Finalize and Initialize first.
	level  atomic.Int32
	closed atomic.Bool
	// wantsLogin: the token has no CKF_LOGIN_REQUIRED and needs a login after all.
	wantsLogin atomic.Bool
	// noUser: it has none, and knows no user who could log in.
	noUser atomic.Bool
	// contextProven: it took the PIN in a login for one signature.
	contextProven atomic.Bool
	// rw: the session that holds the login must be able to write, because the token
	// gives no second one.
	rw atomic.Bool
	// good counts operations that succeeded.
	good atomic.Int64

	loggingIn lock
	// Guarded by loggingIn.
	pin     []byte // nil until somebody gave one
	proven  bool   // the token took pin
	offers  int    // how often pin was offered
	marks   uint   // what the token's flags said of its PIN before the last offer
	refused *refusal
	late    chan error // has, or will have, the answer of a login whose caller has gone
	// serial is the token's serial number when the PIN was given; a token that
	// answers to the same name under another number does not get it unseen.
	serial string
}

func newToken(m *module, opts Options, u signer.URI) *token {
	return &token{m: m, opts: opts, match: u, connecting: newLock(), loggingIn: newLock()}
}

// do runs f on a live connection. Where it fails in a way that a restart of the HSM
// explains, a new connection is made, at the next reconnect level, and f runs again.
func (t *token) do(ctx context.Context, f func(*conn) error) error {
	stale, total := 0, 0
	lossy := t.level.Load() > 0
	for try := 1; ; try++ {
		total++
		before := t.good.Load()
		c, err := t.connection(ctx)
		if err == nil {
			if err = f(c); err == nil {
				t.level.Store(0)
				t.good.Add(1)
				return nil
			}
		}
		if errors.Is(err, errStale) && stale < maxStale {
			t.lost(c, err)
			stale, try, total = stale+1, try-1, total-1
			continue
		}
		if !t.retryable(err, try, lossy) || total >= maxInAll {
			return t.believed(c, err)
		}
		lossy = lossy || codeOf(err) != ckrOK
		t.lost(c, err)
		if t.good.Load() != before {
			try = 0
		} else if try >= maxTries {
			return err
		}
		if err := wait(ctx, pause(try)); err != nil {
			return err
		}
	}
}

// believed ends the tries. A token that answered "no such key" is well.
func (t *token) believed(c *conn, err error) error {
	if c != nil && !c.dead.Load() && errors.Is(err, signer.ErrKeyNotFound) {
		t.level.Store(0)
	}
	return err
}

// pause is backoff x try x try, give or take a half, so that processes which failed together
// do not come back together.
func pause(try int) time.Duration {
	n := time.Duration(max(try, 1))
	d := backoff * n * n
	return d/2 + rand.N(d)
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return canceled(ctx)
	}
}

// retryable reports whether a new connection may mend err. A PIN is never tried again
// because of it: the codes that a wrong PIN causes are not transient. lossy says that
// the token was lost just before.
func (t *token) retryable(err error, try int, lossy bool) bool {
	var p permanentError
	if t.closed.Load() || errors.As(err, &p) {
		return false
	}
	var absent *signer.NotFoundError
	if errors.As(err, &absent) {
		// "Not found" is believed on the second look, and only after all tries right
		// after a loss: while another process rewrites SoftHSM's files, tokens
		// and keys are away for a moment.
		var d unreadableSlotError
		empty := absent.What == "token" && len(absent.Present) == 0
		return lossy || errors.As(err, &d) || empty || try < 2 || absent.What == "token" && try < 4
	}
	var e *CKRError
	switch {
	case !errors.As(err, &e) || e.Code == ckrOK:
		return false
	case vendorDefined(e.Code):
		// It may well be how this module says that its connection is gone. Or that the PIN
		// was wrong.
		return e.Func != "C_Login" && try < triesVendorDefined
	}
	return meaningOf(e.Code).transient
}

// lost marks a connection as gone, once, however many goroutines notice.
func (t *token) lost(c *conn, err error) {
	if c == nil || !c.dead.CompareAndSwap(false, true) || errors.Is(err, errStale) {
		return
	}
	code := codeOf(err)
	if code == ckrUserNotLoggedIn && !c.loggedIn.Load() {
		t.wantsLogin.Store(true)
	}
	switch code {
	case ckrSessionHandleInvalid, ckrSessionClosed, ckrObjectHandleInvalid, ckrKeyHandleInvalid,
		ckrUserNotLoggedIn, ckrOperationActive, ckrOperationNotInitialized:
		t.level.Add(1)
	default:
		t.level.Store(2)
	}
}

// connection gives the live connection or makes one.
func (t *token) connection(ctx context.Context) (*conn, error) {
	if c := t.live(); c != nil {
		return c, nil
	}
	if err := t.connecting.take(ctx); err != nil {
		return nil, err
	}
	defer t.connecting.give()
	if t.closed.Load() {
		return nil, permanentError{errClosed}
	}
	if c := t.live(); c != nil {
		return c, nil
	}
	old := t.cur.Load()
	full := t.level.Load() >= 2 || old == nil && t.level.Load() >= 1
	var c *conn
	err := t.m.run(ctx, "connecting to the token", t.opts.timeout(), true, func() (err error) {
		c, err = t.connect(old, full)
		return err
	})
	if err != nil {
		t.level.Store(2)
		return nil, err
	}
	t.cur.Store(c)
	return c, nil
}

func (t *token) live() *conn {
	if c := t.cur.Load(); c != nil && !c.dead.Load() && !t.closed.Load() {
		return c
	}
	return nil
}

// connect makes a connection: finds the token again by its name and opens the session
// that keeps the login. It runs with the module to itself, so no call uses a handle of
// the old connection while its number may be given out again.
func (t *token) connect(old *conn, full bool) (*conn, error) {
	if old != nil {
		old.closeSessions(full)
	}
	if full {
		t.m.finalize()
	}
	if err := t.m.initialize(); err != nil {
		return nil, err
	}
	s, err := t.m.lib.findToken(t.match)
	if err != nil {
		return nil, err
	}
	c := newConn(t, s)
	c.rw = t.rw.Load()
	c.held, err = t.m.lib.open(s.id, c.rw)
	if err != nil && s.blank() {
		return nil, permanentError{fmt.Errorf("the token in slot %d: %w: %w", s.id, signer.ErrNotSetUp, err)}
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

// close logs out, closes the sessions and forgets the PIN. It waits for signatures
// under way.
func (t *token) close() error {
	if !t.closed.CompareAndSwap(false, true) {
		return nil
	}
	ctx := context.Background()
	err := t.m.run(ctx, "closing the token", t.opts.timeout(), true, func() error {
		if c := t.cur.Load(); c != nil {
			c.dead.Store(true)
			c.closeSessions(true)
		}
		return nil
	})
	// A person may be typing right now; the PIN that comes of it is dropped in login.
	select {
	case t.loggingIn <- struct{}{}:
		t.forgetPIN()
		t.loggingIn.give()
	default:
	}
	return err
}

func (t *token) forgetPIN() {
	clear(t.pin)
	t.pin, t.proven = nil, false
	t.contextProven.Store(false)
}

// slot is a slot with a token in it.
type slot struct {
	id   uint
	info p11.TokenInfo
}

// identity tells one token from another on the connections of one moment. Labels and
// serial numbers alone do not: there are modules that number every token 0.
func (s slot) identity() string {
	return strings.Join([]string{fmt.Sprint(s.id), s.info.Label, s.info.SerialNumber}, "\x00")
}

// String describes a token for people choosing between two.
func (s slot) String() string {
	text := fmt.Sprintf("token %q, serial %q, model %q", s.info.Label, s.info.SerialNumber, s.info.Model)
	if s.info.Flags&p11.CKF_TOKEN_INITIALIZED == 0 {
		text += ", not set up"
	}
	return text
}

// name is how prompts and errors call the token.
func (s slot) name() string { return fmt.Sprintf("token %q", s.info.Label) }
