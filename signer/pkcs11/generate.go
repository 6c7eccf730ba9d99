//go:build cgo

package pkcs11

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	p11 "github.com/miekg/pkcs11"

	"github.com/fleet-hsm/fleet-hsm/signer"
)

// newKeyID is the length of a CKA_ID that we make up, in bytes. It is always fresh:
// NSS replaces a key whose ID is used again, without a word.
const newKeyID = 8

// Generate implements signer.Generator: a key pair that is made in the token and stays
// there. ref.URI must name the token and a free object label, a free id, or both.
// Errors besides those of Open: signer.ErrKeyExists, signer.ErrUnsupported.
func (b *Backend) Generate(ctx context.Context, ref signer.Ref, opts signer.GenerateOptions, ui signer.UI) (signer.Generated, error) {
	spec, err := keySpecOf(ref.URI, opts)
	if err != nil {
		return signer.Generated{}, failed("generating key", ref.URI, nil, err)
	}
	t, err := b.token(ctx, ref.URI)
	if err != nil {
		return signer.Generated{}, failed("generating key", ref.URI, nil, err)
	}
	who := asker{ui: ui, uri: ref.URI, roles: ref.Roles}
	var made signer.Generated
	err = t.do(ctx, func(c *conn) error {
		if err := t.login(ctx, c, who, false); err != nil {
			return err
		}
		if err := spec.free(ctx, c); err != nil {
			return err
		}
		made, err = spec.make(ctx, c)
		return err
	})
	if err != nil {
		return signer.Generated{}, failed("generating key", ref.URI, t, err)
	}
	return made, nil
}

// keySpec is a key that is to be made.
type keySpec struct {
	uri       signer.URI
	algorithm signer.Algorithm
	id        []byte
	label     string
}

func keySpecOf(u signer.URI, opts signer.GenerateOptions) (keySpec, error) {
	p := keySpec{uri: u, algorithm: opts.Algorithm}
	if p.algorithm == "" {
		p.algorithm = signer.P256
	}
	if opts.Count > 1 {
		return p, &signer.UnsupportedError{What: fmt.Sprintf("making %d keys under one URI", opts.Count), Why: "a token makes one at a time"}
	}
	if err := checkType(u); err != nil {
		return p, err
	}
	id, label := keyAttrs(u)
	if label == nil && id == nil {
		return p, &signer.UnsupportedError{What: "a new key without a name", Why: `the URI needs "object=..."`}
	}
	p.id = id
	if id == nil {
		p.id = make([]byte, newKeyID)
		_, _ = rand.Read(p.id) // never fails (crypto/rand)
	}
	if label != nil && *label != "" {
		p.label = *label
	} else {
		p.label = "key " + idText(p.id)
	}
	return p, nil
}

// free refuses a label or an ID that anything on the token has already.
func (p keySpec) free(ctx context.Context, c *conn) error {
	return c.onHeld(ctx, "looking for keys of that name", func(l lib, s p11.SessionHandle) error {
		return p.freeOn(l, s)
	})
}

func (p keySpec) freeOn(l lib, s p11.SessionHandle) error {
	for _, class := range []uint{p11.CKO_PRIVATE_KEY, p11.CKO_PUBLIC_KEY, p11.CKO_CERTIFICATE} {
		byLabel, err := l.objects(s, class, nil, &p.label)
		if err != nil {
			return err
		}
		byID, err := l.objects(s, class, p.id, nil)
		if err != nil {
			return err
		}
		if taken := append(byLabel, byID...); len(taken) > 0 {
			return permanentError{fmt.Errorf("%w: %s", signer.ErrKeyExists, taken[0])}
		}
	}
	return nil
}

// make makes the key and judges it. It needs a session that may write; where the token
// gives one session only, the connection is made again with that one writing.
func (p keySpec) make(ctx context.Context, c *conn) (signer.Generated, error) {
	var made signer.Generated
	err := c.alone(ctx, "generating the key", c.t.opts.timeout()*slowFactor, func(l lib) error {
		s := c.held
		if !c.rw {
			var err error
			if s, err = l.open(c.slot.id, true); codeOf(err) == ckrSessionCount {
				c.t.rw.Store(true)
				c.dead.Store(true)
				return errStale
			} else if err != nil {
				return err
			}
			defer l.close(s)
		}
		var err error
		if made, err = p.makeOn(l, s); codeOf(err) == ckrUserNotLoggedIn && !c.loggedIn.Load() {
			return err // nothing was made; it is tried again after a login
		} else if err != nil {
			// Tried again, it might make a second key: what the token did before the
			// error nobody knows.
			return permanentError{err}
		}
		return nil
	})
	if err != nil {
		return signer.Generated{}, err
	}
	return made, nil
}

func (p keySpec) makeOn(l lib, s p11.SessionHandle) (signer.Generated, error) {
	pub, priv, dropped, err := p.pair(l, s)
	if err != nil {
		return signer.Generated{}, p.explain(err)
	}
	made, err := p.judge(l, s, pub, priv, dropped)
	if err != nil {
		return signer.Generated{}, errors.Join(err, l.undo(s, pub, priv))
	}
	return made, nil
}

// undo destroys a key that must not be used.
func (l lib) undo(s p11.SessionHandle, pub, priv p11.ObjectHandle) error {
	if err := errors.Join(l.destroy(s, priv), l.destroy(s, pub)); err != nil {
		return fmt.Errorf("the key is still on the token: %w", err)
	}
	return nil
}

// judge reads the new key back: what counts is what the token says of it now.
func (p keySpec) judge(l lib, s p11.SessionHandle, pub, priv p11.ObjectHandle, dropped uint) (signer.Generated, error) {
	o, err := l.describe(s, pub, p11.CKO_PUBLIC_KEY)
	if err != nil {
		return signer.Generated{}, err
	}
	public, problem, err := l.publicOf(s, o)
	if err = errors.Join(err, problem); err != nil {
		return signer.Generated{}, err
	}
	if public == nil {
		return signer.Generated{}, fmt.Errorf("%w: the token made a key and does not show its public part", signer.ErrDevice)
	}
	if a, err := signer.AlgorithmOf(public); err != nil || a != p.algorithm {
		return signer.Generated{}, fmt.Errorf("%w: asked for %s, the token made %s", signer.ErrDevice, p.algorithm, a)
	}
	r, err := l.provenance(s, priv)
	if err != nil {
		return signer.Generated{}, err
	}
	if dropped == p11.CKA_EXTRACTABLE && !is(r.extractable, false) {
		return signer.Generated{}, &signer.GenerateError{Algorithm: p.algorithm, Wants: "it does not take CKA_EXTRACTABLE = false, and does not say that the key stays in it"}
	}
	if err := r.secret(l, s, priv); err != nil {
		return signer.Generated{}, err
	}
	uri, warnings, err := p.name(l, s, priv)
	if err != nil {
		return signer.Generated{}, err
	}
	made := signer.Generated{URI: uri, Warnings: append(warnings, r.missing()...)}
	made.Public = append(made.Public, public)
	return made, nil
}

// name gives the new key's URI in full, with the ID that it really got.
func (p keySpec) name(l lib, s p11.SessionHandle, priv p11.ObjectHandle) (signer.URI, []string, error) {
	o, err := l.describe(s, priv, p11.CKO_PRIVATE_KEY)
	if err != nil {
		return signer.URI{}, nil, err
	}
	u := p.uri
	var warnings []string
	if len(o.id) > 0 {
		u = u.With("id", string(o.id))
	} else {
		warnings = append(warnings, "the token gave the key no id; it is found by its label alone")
	}
	if !bytes.Equal(o.id, p.id) && len(o.id) > 0 {
		warnings = append(warnings, fmt.Sprintf("the token gave the key the id %s instead of %s", idText(o.id), idText(p.id)))
	}
	if o.label != p.label {
		warnings = append(warnings, fmt.Sprintf("the token gave the key the label %q instead of %q", o.label, p.label))
	}
	if o.label != "" {
		u = u.With("object", o.label)
	} else if len(o.id) > 0 {
		u = u.Without("object")
	}
	return u, warnings, nil
}
