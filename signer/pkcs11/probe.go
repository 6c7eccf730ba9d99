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
//	pin                as far as the flags tell; or pin-locked, pin-final-try, pin-count-low, pin-not-set
//	token-write-protected (OK: signing works)
//	key                there and the expected one; or key-absent, key-ambiguous,
//	                   key-changed, key-unsupported, key-hidden (OK: a login would tell)
//	key-imported       the token says that the key was not made in it
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

func pinFindings(s slot, info p11.TokenInfo) []signer.Finding {
	var out []signer.Finding
	add := func(code, text string, err error) {
		out = append(out, signer.Finding{Code: code, Text: fmt.Sprintf("%s: %s", s.name(), text), Err: err})
	}
	switch {
	case info.Flags&p11.CKF_LOGIN_REQUIRED == 0:
	case info.Flags&p11.CKF_USER_PIN_LOCKED != 0:
		add("pin-locked", "its user PIN is blocked", signer.ErrPINLocked)
	case info.Flags&p11.CKF_USER_PIN_FINAL_TRY != 0:
		add("pin-final-try", "its user PIN has one try left", signer.ErrLastTry)
	case info.Flags&p11.CKF_USER_PIN_COUNT_LOW != 0:
		add("pin-count-low", "a wrong user PIN was entered since the last right one", nil)
	case info.Flags&p11.CKF_USER_PIN_INITIALIZED == 0:
		add("pin-not-set", "it has no user PIN", signer.ErrPINNotSet)
	default:
		add("pin", "it reports no failed PIN", nil)
		out[0].OK = true
	}
	if info.Flags&p11.CKF_WRITE_PROTECTED != 0 {
		add("token-write-protected", "it is write-protected: it signs, and takes no new key", nil)
		out[len(out)-1].OK = true
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
		out = append(out, signer.Finding{Code: "key-imported", Text: fmt.Sprintf("the token says that key %q was not made in it", ref.URI)})
	}
	return out
}
