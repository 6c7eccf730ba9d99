//go:build cgo

package pkcs11

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"sync/atomic"

	p11 "github.com/miekg/pkcs11"

	"github.com/fleet-hsm/fleet-hsm/internal/wiresig"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

// key is a signer.Signer: one key on a token.
type key struct {
	t   *token
	ref signer.Ref
	who asker
	// name is the canonical URI, under which connections remember the handle.
	name string

	public     atomic.Pointer[crypto.PublicKey]
	mechanisms atomic.Pointer[[]mechanism]
	// works is the index of the first mechanism that the token takes.
	works  atomic.Int32
	closed atomic.Bool
}

func newKey(t *token, ref signer.Ref, ui signer.UI) *key {
	k := &key{t: t, ref: ref, name: ref.URI.String()}
	k.who = asker{ui: ui, uri: ref.URI, roles: ref.Roles}
	if ref.Pinned != nil {
		k.public.Store(&ref.Pinned)
	}
	return k
}

// URI implements signer.Signer.
func (k *key) URI() signer.URI { return k.ref.URI }

// Public implements signer.Signer.
func (k *key) Public() crypto.PublicKey {
	if p := k.public.Load(); p != nil {
		return *p
	}
	return nil
}

// Close implements signer.Signer. The token stays logged in until the backend is
// closed: another key on it may be next.
func (k *key) Close() error {
	k.closed.Store(true)
	return nil
}

// Unlock implements signer.Unlocker: logs in and finds the private key.
func (k *key) Unlock(ctx context.Context) error {
	if k.closed.Load() {
		return k.failed("unlocking key", errClosed)
	}
	err := k.t.do(ctx, func(c *conn) error {
		_, err := k.handle(ctx, c)
		return err
	})
	return k.failed("unlocking key", err)
}

// failed says which key an error is about, unless the error says so itself.
func (k *key) failed(op string, err error) error { return failed(op, k.ref.URI, k.t, err) }

func failed(op string, u signer.URI, t *token, err error) error {
	if err == nil {
		return nil
	}
	var p permanentError
	if errors.As(err, &p) && error(p) == err {
		err = p.err
	}
	var absent *signer.NotFoundError
	var many *signer.AmbiguousError
	var changed *signer.KeyChangedError
	if errors.As(err, &absent) || errors.As(err, &many) || errors.As(err, &changed) {
		return err
	}
	label := ""
	if t != nil {
		if c := t.cur.Load(); c != nil {
			label = c.slot.name()
		}
	}
	return &signer.KeyError{Op: op, URI: u, Token: label, Err: err}
}

// look finds the public part without a login, where the token shows it, and holds it
// to the expected key. seen is false where the token shows nothing.
func (k *key) look(ctx context.Context, c *conn) (seen bool, err error) {
	var f found
	err = c.onHeld(ctx, "looking for the key", func(l lib, s p11.SessionHandle) (err error) {
		if c.loggedIn.Load() {
			f, err = l.lookup(s, k.ref.URI, k.Public())
		} else {
			f, err = l.glance(s, k.ref.URI, k.Public())
		}
		return err
	})
	var absent *signer.NotFoundError
	if errors.As(err, &absent) && !c.loggedIn.Load() {
		return false, nil // it may show itself after a login
	}
	if err != nil {
		return false, err
	}
	if seen, err = k.expect(f); seen {
		c.mu.Lock()
		c.shown[k.shownName()] = true
		c.mu.Unlock()
	}
	return seen, err
}

// shownOn reports whether a connection showed this very key before. A connection that
// is lost takes the memory with it.
func (k *key) shownOn(c *conn) bool {
	if k.Public() == nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.shown[k.shownName()]
}

func (k *key) shownName() string { return k.name + " " + wiresig.Fingerprint(k.Public()) }

// expect compares what was found with the key that it must be: the pinned one, or the
// one that was there when the key was opened.
func (k *key) expect(f found) (seen bool, err error) {
	want := k.Public()
	switch {
	case f.public == nil && want == nil && f.problem != nil:
		return false, permanentError{f.problem}
	case f.public == nil && errors.Is(f.problem, signer.ErrUnsupported) && f.private == nil:
		return false, permanentError{f.problem} // another kind of key, for certain
	case f.public == nil:
		return false, nil
	case want == nil:
		k.public.CompareAndSwap(nil, &f.public)
		return true, nil
	case !signer.SamePublic(want, f.public):
		return false, permanentError{&signer.KeyChangedError{
			URI: k.ref.URI, Want: wiresig.Fingerprint(want), Have: wiresig.Fingerprint(f.public),
		}}
	}
	return true, nil
}

// handle gives the private key's handle on a connection. The first time on each
// connection it looks before it logs in, so that a PIN is never offered to a token
// that shows another key.
func (k *key) handle(ctx context.Context, c *conn) (keyHandle, error) {
	c.mu.Lock()
	h, ok := c.keys[k.name]
	c.mu.Unlock()
	if ok {
		return h, nil
	}
	confirmed := k.shownOn(c)
	if !c.loggedIn.Load() {
		if !confirmed {
			var err error
			if confirmed, err = k.look(ctx, c); err != nil {
				return keyHandle{}, err
			}
		}
		if err := k.t.login(ctx, c, k.who, confirmed); err != nil {
			return keyHandle{}, err
		}
	}
	h, err := k.find(ctx, c, confirmed)
	if errors.Is(err, signer.ErrKeyNotFound) && !c.loggedIn.Load() {
		h, err = k.findLoggedIn(ctx, c, confirmed, err)
	}
	if err != nil {
		return keyHandle{}, err
	}
	c.mu.Lock()
	c.keys[k.name] = h
	c.mu.Unlock()
	return h, nil
}

// findLoggedIn logs in to a token that does not ask for it, because it does not show the
// private key otherwise.
func (k *key) findLoggedIn(ctx context.Context, c *conn, confirmed bool, absent error) (keyHandle, error) {
	if err := k.t.loginAfterAll(ctx, c, k.who, confirmed, absent); err != nil {
		return keyHandle{}, err
	}
	return k.find(ctx, c, confirmed)
}

// find finds the private key, after the login. Where its public half was seen and is
// the right one, it is not read again: every signature is verified anyway.
func (k *key) find(ctx context.Context, c *conn, confirmed bool) (keyHandle, error) {
	var f found
	var h keyHandle
	err := c.onHeld(ctx, "looking for the private key", func(l lib, s p11.SessionHandle) (err error) {
		if confirmed {
			f.private, err = l.lookupPrivate(s, k.ref.URI)
		}
		if f.private == nil && err == nil {
			f, err = l.lookup(s, k.ref.URI, k.Public())
		}
		if f.private == nil || err != nil {
			return err
		}
		h.h = f.private.h
		always, err := l.attribute(s, h.h, p11.CKA_ALWAYS_AUTHENTICATE)
		if b := decodeBool(always); b != nil {
			h.alwaysAuth = *b
		}
		return err
	})
	if err != nil {
		return keyHandle{}, err
	}
	if f.private == nil {
		return keyHandle{}, &signer.NotFoundError{
			What: "private key", URI: k.ref.URI, Cause: signer.ErrKeyNotFound,
			Present: []string{"only its public part"},
		}
	}
	if _, err := k.expect(f); err != nil {
		return keyHandle{}, err
	}
	if k.Public() == nil {
		return keyHandle{}, permanentError{fmt.Errorf("%w: the token has the private key but shows no public one", signer.ErrKeyNotFound)}
	}
	return h, nil
}
