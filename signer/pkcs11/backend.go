//go:build cgo

package pkcs11

import (
	"context"
	"errors"
	"slices"
	"sync"

	p11 "github.com/miekg/pkcs11"

	"github.com/fleet-hsm/fleet-hsm/signer"
)

// Backend opens keys on PKCS#11 tokens. It keeps modules loaded and tokens logged in
// until it is closed. It is safe for concurrent use.
type Backend struct {
	opts Options

	opening lock // one token is looked for at a time
	mu      sync.Mutex
	modules map[string]*module // by resolved path; each was acquired once
	tokens  []*token
	closed  bool
}

var (
	_ signer.Backend   = (*Backend)(nil)
	_ signer.Generator = (*Backend)(nil)
	_ signer.Tokener   = (*Backend)(nil)
	_ signer.Finder    = (*Backend)(nil)
	_ signer.KeyLister = (*Backend)(nil)
	_ signer.Describer = (*Backend)(nil)
	_ signer.Prober    = (*Backend)(nil)
	_ signer.SetterUp  = (*Backend)(nil)
	_ signer.Unlocker  = (*key)(nil)
)

// New makes a backend. Nothing is loaded before a key is asked for.
func New(o Options) *Backend {
	return &Backend{opts: o, opening: newLock(), modules: map[string]*module{}}
}

// Open implements signer.Backend. Errors: *signer.NotFoundError, *signer.AmbiguousError,
// *signer.KeyChangedError, *ModuleError, *DeadlineError, or *signer.KeyError around a
// *CKRError.
func (b *Backend) Open(ctx context.Context, ref signer.Ref, ui signer.UI) (signer.Signer, error) {
	t, err := b.token(ctx, ref.URI)
	if err != nil {
		return nil, failed("opening key", ref.URI, nil, err)
	}
	k := newKey(t, ref, ui)
	if err := checkType(ref.URI); err != nil {
		return nil, k.failed("opening key", err)
	}
	err = t.do(ctx, func(c *conn) error {
		seen, err := k.look(ctx, c)
		if err != nil || seen || k.Public() != nil {
			return err
		}
		return k.unseen(ctx, c)
	})
	if err != nil {
		return nil, k.failed("opening key", err)
	}
	return k, nil
}

// unseen is for a key that the token does not show without a login and that nobody
// has pinned: the login must tell. Where there is no PIN to be had, what can be said
// is that the key is not to be seen.
func (k *key) unseen(ctx context.Context, c *conn) error {
	_, err := k.handle(ctx, c)
	if !errors.Is(err, signer.ErrNoSecret) && !errors.Is(err, signer.ErrNoTerminal) {
		return err
	}
	absent := c.onHeld(ctx, "looking for the key", func(l lib, s p11.SessionHandle) error { return l.noKey(s, k.ref.URI) })
	var e *signer.NotFoundError
	if !errors.As(absent, &e) {
		return absent
	}
	e.Present = append(e.Present, "more perhaps after a login")
	return permanentError{e}
}

// checkType refuses URIs that name something else than a key pair.
func checkType(u signer.URI) error {
	switch t, _ := u.Attr("type"); t {
	case "secret-key", "data":
		return &signer.UnsupportedError{What: "signing with an object of the type " + t, Why: "a key pair is needed"}
	}
	return nil
}

// module finds the module of a URI and keeps it for this backend.
func (b *Backend) module(u signer.URI) (*module, error) {
	choice, err := b.opts.choose(u)
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, permanentError{errClosed}
	}
	m, err := acquire(choice)
	if err != nil {
		return nil, err
	}
	if have := b.modules[m.path]; have != nil {
		m.users.Add(-1)
		return have, nil
	}
	b.modules[m.path] = m
	return m, nil
}

// token finds the token of a URI, or the state kept for it: two URIs that name one
// token share its login.
func (b *Backend) token(ctx context.Context, u signer.URI) (*token, error) {
	m, err := b.module(u)
	if err != nil {
		return nil, err
	}
	if err := b.opening.take(ctx); err != nil {
		return nil, err
	}
	defer b.opening.give()
	match := tokenURI(u)
	if t := b.known(m, func(t *token) bool { return t.match.String() == match.String() }); t != nil {
		return t, nil
	}
	t := newToken(m, b.opts, match)
	if err := t.do(ctx, func(*conn) error { return nil }); err != nil {
		return nil, err
	}
	id := t.cur.Load().slot.identity()
	if same := b.known(m, func(t *token) bool { c := t.cur.Load(); return c != nil && c.slot.identity() == id }); same != nil {
		return same, t.close()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		_ = t.close()
		return nil, permanentError{errClosed}
	}
	b.tokens = append(b.tokens, t)
	return t, nil
}

// letGo closes what is open on the tokens of a module: one with a session cannot be
// initialised.
func (b *Backend) letGo(m *module) error {
	b.mu.Lock()
	var open []*token
	b.tokens = slices.DeleteFunc(b.tokens, func(t *token) bool {
		if t.m == m {
			open = append(open, t)
		}
		return t.m == m
	})
	b.mu.Unlock()
	var errs []error
	for _, t := range open {
		errs = append(errs, t.close())
	}
	return errors.Join(errs...)
}

func (b *Backend) known(m *module, is func(*token) bool) *token {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, t := range b.tokens {
		if t.m == m && is(t) {
			return t
		}
	}
	return nil
}

// Close logs out of every token, forgets the PINs and shuts the modules down, after
// the signatures that are under way. A module that hangs is left as it is, and the
// error says so. Close is idempotent.
func (b *Backend) Close() error {
	b.mu.Lock()
	tokens, modules := b.tokens, b.modules
	b.tokens, b.modules, b.closed = nil, nil, true
	b.mu.Unlock()
	var errs []error
	for _, t := range tokens {
		errs = append(errs, t.close())
	}
	for _, m := range modules {
		errs = append(errs, m.release(b.opts.timeout()))
	}
	return errors.Join(errs...)
}
