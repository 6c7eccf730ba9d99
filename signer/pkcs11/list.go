//go:build cgo

package pkcs11

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"

	p11 "github.com/miekg/pkcs11"

	"github.com/fleet-hsm/fleet-hsm/signer"
)

// Tokens implements signer.Tokener: every slot of the module that has a token in it.
// u may name a module and narrow the list; no PIN is used.
func (b *Backend) Tokens(ctx context.Context, u signer.URI) ([]signer.Token, error) {
	m, err := b.module(u)
	if err != nil {
		return nil, failed("listing tokens of", u, nil, err)
	}
	var out []signer.Token
	err = b.startUp(ctx, m, "listing the tokens", func() error {
		out = nil
		ids, err := m.lib.occupied()
		for _, id := range ids {
			if t, ok := m.tokenAt(id, u); ok {
				out = append(out, t)
			}
		}
		return err
	})
	if err != nil {
		return nil, failed("listing tokens of", u, nil, err)
	}
	return out, nil
}

// startUp runs calls that need no connection, with the same patience for a module
// whose token files are being rewritten by another process.
func (b *Backend) startUp(ctx context.Context, m *module, doing string, f func() error) error {
	t := newToken(m, b.opts, kind.URI())
	for try := 1; ; try++ {
		err := m.run(ctx, doing, b.opts.timeout(), true, func() error {
			if try > 1 {
				m.finalize()
			}
			if err := m.initialize(); err != nil {
				return err
			}
			return f()
		})
		if err == nil || try == maxTries || !t.retryable(err, try, false) {
			return err
		}
		if err := wait(ctx, pause(try)); err != nil {
			return err
		}
	}
}

// tokenAt describes the token in a slot; one that cannot be read is listed with the
// reason.
func (m *module) tokenAt(id uint, u signer.URI) (signer.Token, bool) {
	desc := ""
	if i, err := m.lib.slotInfo(id); err == nil {
		desc = clean(i.SlotDescription)
	}
	info, err := m.lib.tokenInfo(id)
	if err != nil {
		t := signer.Token{Kind: kind.Scheme, Module: m.path, Reader: desc, PINTriesLeft: -1, Problem: err.Error()}
		t.URI = kind.URI().With("slot-id", fmt.Sprint(id))
		return t, true
	}
	s := slot{id, info}
	if !m.lib.matches(s, tokenURI(u)) {
		return signer.Token{}, false
	}
	t := s.describe(m.path)
	t.Reader = desc
	return t, true
}

// describe gives the token as package signer knows it.
func (s slot) describe(module string) signer.Token {
	i := s.info
	t := signer.Token{
		Kind: kind.Scheme, URI: kind.URI(), Label: i.Label, Serial: i.SerialNumber, Model: i.Model,
		Manufacturer: i.ManufacturerID, Module: module, PINTriesLeft: -1, Flags: flagWords(i.Flags),
		Firmware:    fmt.Sprintf("%d.%d", i.FirmwareVersion.Major, i.FirmwareVersion.Minor),
		Initialized: i.Flags&p11.CKF_TOKEN_INITIALIZED != 0,
	}
	if i.Label != "" {
		t.URI = t.URI.With("token", i.Label)
	}
	if i.SerialNumber != "" {
		t.URI = t.URI.With("serial", i.SerialNumber)
	}
	if i.Label == "" && i.SerialNumber == "" {
		t.URI = t.URI.With("slot-id", fmt.Sprint(s.id))
	}
	if i.MaxSessionCount < 1<<30 {
		t.MaxSessions = int(i.MaxSessionCount)
	}
	switch {
	case i.Flags&p11.CKF_USER_PIN_LOCKED != 0:
		t.PINTriesLeft = 0
	case i.Flags&p11.CKF_USER_PIN_FINAL_TRY != 0:
		t.PINTriesLeft = 1
	}
	return t
}

// flagWords translates token flags (PKCS#11, CK_TOKEN_INFO).
func flagWords(flags uint) []string {
	var words []string
	for _, f := range []struct {
		bit  uint
		word string
	}{
		{p11.CKF_USER_PIN_COUNT_LOW, "pin-count-low"},
		{p11.CKF_USER_PIN_FINAL_TRY, "pin-final-try"},
		{p11.CKF_USER_PIN_LOCKED, "pin-locked"},
		{p11.CKF_USER_PIN_TO_BE_CHANGED, "pin-to-be-changed"},
		{p11.CKF_SO_PIN_COUNT_LOW, "so-pin-count-low"},
		{p11.CKF_SO_PIN_FINAL_TRY, "so-pin-final-try"},
		{p11.CKF_SO_PIN_LOCKED, "so-pin-locked"},
		{p11.CKF_LOGIN_REQUIRED, "login-required"},
		{p11.CKF_USER_PIN_INITIALIZED, "pin-set"},
		{p11.CKF_WRITE_PROTECTED, "write-protected"},
		{p11.CKF_PROTECTED_AUTHENTICATION_PATH, "protected-authentication-path"},
	} {
		if flags&f.bit != 0 {
			words = append(words, f.word)
		}
	}
	return words
}

// Find implements signer.Finder: looks for a public key among what every token of
// the configured module shows without a login. A zero URI and no error mean that it is
// not to be seen.
func (b *Backend) Find(ctx context.Context, pub crypto.PublicKey) (signer.URI, error) {
	if b.opts.Module == "" {
		return signer.URI{}, nil
	}
	tokens, err := b.Tokens(ctx, kind.URI())
	if err != nil {
		return signer.URI{}, err
	}
	var problems []error
	for _, t := range tokens {
		if t.Problem != "" || !t.Initialized && t.Label == "" {
			continue
		}
		keys, err := b.Keys(ctx, signer.Ref{URI: t.URI}, nil)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		for _, k := range keys {
			if signer.SamePublic(pub, k.Public) {
				return shortest(k, tokens), nil
			}
		}
	}
	return signer.URI{}, errors.Join(problems...)
}

// shortest drops the serial number from a URI where the label alone tells the token:
// a restored backup of an HSM has another serial number.
func shortest(k signer.KeyInfo, tokens []signer.Token) signer.URI {
	same := 0
	for _, t := range tokens {
		if t.Label == k.Token.Label {
			same++
		}
	}
	if same != 1 || k.Token.Label == "" {
		return k.URI
	}
	u := kind.URI()
	for _, name := range []string{"token", "id", "object"} {
		if v, ok := k.URI.Attr(name); ok {
			u = u.With(name, v)
		}
	}
	return u
}

// Keys implements signer.KeyLister: what the token of ref.URI shows. With a ui it logs
// in first, so that the list is complete; without one, or where the ui has no source for
// the PIN, it lists what anybody sees.
func (b *Backend) Keys(ctx context.Context, ref signer.Ref, ui signer.UI) ([]signer.KeyInfo, error) {
	t, err := b.token(ctx, ref.URI)
	if err != nil {
		return nil, failed("listing keys of", ref.URI, nil, err)
	}
	var out []signer.KeyInfo
	err = t.do(ctx, func(c *conn) error {
		if ui != nil {
			err := t.login(ctx, c, asker{ui: ui, uri: ref.URI, roles: ref.Roles}, false)
			if err != nil && !errors.Is(err, signer.ErrNoSecret) && !errors.Is(err, signer.ErrNoTerminal) {
				return err
			}
		}
		return c.onHeld(ctx, "listing the keys", func(l lib, _ p11.SessionHandle) (err error) {
			out, err = c.keyInfos(l, ref.URI)
			return err
		})
	})
	if err != nil {
		return nil, failed("listing keys of", ref.URI, t, err)
	}
	return out, nil
}

// keyInfos joins private keys, public keys and certificates by their IDs.
func (c *conn) keyInfos(l lib, u signer.URI) ([]signer.KeyInfo, error) {
	id, label := keyAttrs(u)
	var seen []object
	var out []signer.KeyInfo
	for _, class := range []uint{p11.CKO_PRIVATE_KEY, p11.CKO_PUBLIC_KEY, p11.CKO_CERTIFICATE} {
		objects, err := l.objects(c.held, class, id, label)
		if err != nil {
			return nil, err
		}
		for _, o := range objects {
			if class != p11.CKO_PRIVATE_KEY && isHalf(o, seen) {
				continue
			}
			seen = append(seen, o)
			k, err := c.keyInfo(l, o)
			if err != nil {
				return nil, err
			}
			out = append(out, k)
		}
	}
	return out, nil
}

// isHalf: the object belongs to a key that is in the list already.
func isHalf(o object, seen []object) bool {
	for _, s := range seen {
		if len(o.id) > 0 && bytes.Equal(o.id, s.id) || len(o.id) == 0 && len(s.id) == 0 && o.label == s.label {
			return true
		}
	}
	return false
}

func (c *conn) keyInfo(l lib, o object) (signer.KeyInfo, error) {
	f := found{id: o.id, label: o.label}
	if o.class == p11.CKO_PRIVATE_KEY {
		f.private = &o
	}
	f, err := l.withPublic(c.held, f, nil)
	if err != nil {
		return signer.KeyInfo{}, err
	}
	k := signer.KeyInfo{Label: o.label, ID: o.id, Public: f.public, Token: c.slot.describe(c.t.m.path)}
	k.URI = k.Token.URI
	if len(o.id) > 0 {
		k.URI = k.URI.With("id", string(o.id))
	}
	if o.label != "" {
		k.URI = k.URI.With("object", o.label)
	}
	if f.public != nil {
		k.Algorithm, _ = signer.AlgorithmOf(f.public)
	} else if f.problem != nil {
		k.Problem = f.problem.Error()
	}
	return k, c.report(l, o, &k)
}

// report adds the provenance: of the private key where it is visible, else what the
// public half says, which is whether the pair was made in the token.
func (c *conn) report(l lib, o object, k *signer.KeyInfo) error {
	if o.class == p11.CKO_CERTIFICATE {
		return nil
	}
	r, err := l.provenance(c.held, o.h)
	if err != nil {
		return err
	}
	k.Local, k.KeyGenMechanism = r.local, r.mechanism
	if o.class != p11.CKO_PRIVATE_KEY {
		if is(r.local, false) {
			k.Warnings = append(k.Warnings, "the token says that the key was not made in it (CKA_LOCAL is 0)")
		}
		return nil
	}
	k.NeverExtractable, k.AlwaysSensitive, k.Sensitive = r.neverExtractable, r.alwaysSensitive, r.sensitive
	k.Extractable, k.AlwaysAuthenticate = r.extractable, r.alwaysAuth
	k.Warnings = append(k.Warnings, r.missing()...)
	return nil
}
