//go:build cgo

package pkcs11

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	p11 "github.com/miekg/pkcs11"

	"github.com/fleet-hsm/fleet-hsm/signer"
)

// Probe implements signer.Prober: goes from the module's file to the key, step by step,
// and stops at what makes the next step impossible. It uses no PIN. The codes of the
// findings:
//
//	module             loaded; otherwise the code of the *ModuleError: module-none,
//	                   module-missing, module-arch, module-writable, module-load, ...
//	softhsm-config-missing, softhsm-tokendir-missing
//	module-hangs       no answer before the deadline
//	token              there; or token-absent, token-ambiguous, token-unreachable, token-not-set-up
//	pin                as far as the flags tell; or pin-locked, or the warnings pin-final-try, pin-count-low, pin-not-set
//	token-write-protected (OK: signing works)
//	key                there and the expected one; or key-absent, key-ambiguous,
//	                   key-changed, key-unsupported, key-hidden (OK: a login would tell)
//	key-imported       a warning: the token says that the key was not made in it
func (b *Backend) Probe(ctx context.Context, ref signer.Ref) []signer.Finding {
	m, err := b.module(ref.URI)
	if err != nil {
		return []signer.Finding{moduleFinding(err)}
	}
	var out []signer.Finding
	if strings.Contains(filepath.Base(m.path), "softhsm") {
		if code, text := softHSMProblem(); code != "" {
			return []signer.Finding{{Code: code, Text: text}}
		}
	}
	if err := b.startUp(ctx, m, "initialising the module", func() error { return nil }); err != nil {
		return append(out, moduleFinding(err))
	}
	out = append(out, signer.Finding{Code: "module", OK: true, Text: fmt.Sprintf("PKCS#11 module %q is loaded", m.path)})
	t, err := b.token(ctx, ref.URI)
	if err != nil {
		return append(out, tokenFinding(err))
	}
	var info p11.TokenInfo
	var c *conn
	err = t.do(ctx, func(live *conn) (err error) {
		c = live
		return c.run(ctx, "reading the token's flags", func(l lib) (err error) {
			info, err = l.tokenInfo(c.slot.id)
			return err
		})
	})
	if err != nil {
		return append(out, tokenFinding(err))
	}
	out = append(out, signer.Finding{Code: "token", OK: true, Text: c.slot.String() + " is there"})
	out = append(out, pinFindings(c.slot, info)...)
	if _, label := keyAttrs(ref.URI); label == nil {
		if id, _ := keyAttrs(ref.URI); id == nil {
			return out
		}
	}
	return append(out, b.keyFindings(ctx, t, ref)...)
}

func finding(code string, err error) signer.Finding {
	return signer.Finding{Code: code, Text: err.Error(), Err: err}
}

func moduleFinding(err error) signer.Finding {
	var m *ModuleError
	switch {
	case errors.As(err, &m):
		return finding(m.Code, err)
	case errors.Is(err, signer.ErrDeadline):
		return finding("module-hangs", err)
	}
	return finding("module-init", err)
}

func tokenFinding(err error) signer.Finding {
	switch {
	case errors.Is(err, signer.ErrDeadline):
		return finding("module-hangs", err)
	case errors.Is(err, signer.ErrUnreachable):
		return finding("token-unreachable", err)
	case errors.Is(err, signer.ErrAmbiguous):
		return finding("token-ambiguous", err)
	case errors.Is(err, signer.ErrNotSetUp):
		return finding("token-not-set-up", err)
	}
	return finding("token-absent", err)
}

// pinFindings says what the flags tell of the PIN. Flags are hints: none but a blocked
// PIN, which is never tried, keeps a token from signing.
func pinFindings(s slot, info p11.TokenInfo) []signer.Finding {
	var out []signer.Finding
	add := func(f signer.Finding, text string) {
		f.Text = fmt.Sprintf("%s: %s", s.name(), text)
		out = append(out, f)
	}
	has := func(flag uint) bool { return info.Flags&flag != 0 }
	switch {
	case has(p11.CKF_USER_PIN_LOCKED) && !has(p11.CKF_LOGIN_REQUIRED):
		add(signer.Finding{Code: "pin-locked", OK: true, Warning: true}, "its user PIN is blocked; it does not say that it wants a login")
	case has(p11.CKF_USER_PIN_LOCKED):
		add(signer.Finding{Code: "pin-locked", Err: signer.ErrPINLocked}, "its user PIN is blocked")
	case has(p11.CKF_USER_PIN_FINAL_TRY):
		add(signer.Finding{Code: "pin-final-try", OK: true, Warning: true, Err: signer.ErrLastTry}, "its user PIN has one try left, which only a person at a terminal may use")
	case has(p11.CKF_USER_PIN_COUNT_LOW):
		add(signer.Finding{Code: "pin-count-low", OK: true, Warning: true}, "a wrong user PIN was entered since the last right one")
	case !has(p11.CKF_LOGIN_REQUIRED):
		add(signer.Finding{Code: "pin", OK: true}, "it does not say that it wants a login; one is made where a PIN source is named, or where a key is not seen without")
	case !has(p11.CKF_USER_PIN_INITIALIZED):
		add(signer.Finding{Code: "pin-not-set", OK: true, Warning: true}, "it does not say that it has a user PIN; --sign tries one")
	default:
		add(signer.Finding{Code: "pin", OK: true}, "it reports no failed PIN")
	}
	if has(p11.CKF_WRITE_PROTECTED) {
		add(signer.Finding{Code: "token-write-protected", OK: true}, "it is write-protected: it signs, and takes no new key")
	}
	return out
}

func (b *Backend) keyFindings(ctx context.Context, t *token, ref signer.Ref) []signer.Finding {
	k := newKey(t, ref, nil)
	var seen bool
	var imported bool
	err := t.do(ctx, func(c *conn) (err error) {
		if seen, err = k.look(ctx, c); err != nil || !seen {
			return err
		}
		return c.onHeld(ctx, "reading the key's attributes", func(l lib, _ p11.SessionHandle) error {
			info, err := c.describeKey(l, ref.URI)
			imported = is(info.Local, false)
			return err
		})
	})
	switch {
	case err == nil && !seen:
		return []signer.Finding{{Code: "key-hidden", OK: true, Text: fmt.Sprintf("the token does not show %q without a login", ref.URI)}}
	case errors.Is(err, signer.ErrKeyChanged):
		return []signer.Finding{finding("key-changed", err)}
	case errors.Is(err, signer.ErrAmbiguous):
		return []signer.Finding{finding("key-ambiguous", err)}
	case errors.Is(err, signer.ErrUnsupported):
		return []signer.Finding{finding("key-unsupported", err)}
	case err != nil:
		return []signer.Finding{finding("key-absent", err)}
	}
	out := []signer.Finding{{Code: "key", OK: true, Text: fmt.Sprintf("key %q is there", ref.URI)}}
	if imported {
		// Some modules (NSS) say so of every key.
		out = append(out, signer.Finding{Code: "key-imported", OK: true, Warning: true, Text: fmt.Sprintf("the token says that key %q was not made in it (CKA_LOCAL is 0)", ref.URI)})
	}
	return out
}
