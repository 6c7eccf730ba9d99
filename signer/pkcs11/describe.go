//go:build cgo

package pkcs11

import (
	"context"
	"errors"

	p11 "github.com/miekg/pkcs11"

	"github.com/fleet-hsm/fleet-hsm/internal/wiresig"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

// Describe implements signer.Describer. With a ui it logs in, because most of what is
// reported stands with the private key; without one, or without a source for the PIN,
// it reports what the token shows to anybody, and a warning says so.
func (b *Backend) Describe(ctx context.Context, ref signer.Ref, ui signer.UI) (signer.KeyInfo, error) {
	t, err := b.token(ctx, ref.URI)
	if err != nil {
		return signer.KeyInfo{}, failed("describing key", ref.URI, nil, err)
	}
	k := newKey(t, ref, ui)
	var info signer.KeyInfo
	err = t.do(ctx, func(c *conn) error {
		if _, err := k.look(ctx, c); err != nil {
			return err
		}
		if ui != nil {
			if err := t.login(ctx, c, k.who, false); err != nil && !errors.Is(err, signer.ErrNoSecret) && !errors.Is(err, signer.ErrNoTerminal) {
				return err
			}
		}
		return c.onHeld(ctx, "reading the key's attributes", func(l lib, _ p11.SessionHandle) (err error) {
			info, err = c.describeKey(l, ref.URI)
			return err
		})
	})
	if err != nil {
		return signer.KeyInfo{}, k.failed("describing key", err)
	}
	if ref.Pinned != nil && info.Public != nil && !signer.SamePublic(ref.Pinned, info.Public) {
		return info, &signer.KeyChangedError{URI: ref.URI, Want: wiresig.Fingerprint(ref.Pinned), Have: wiresig.Fingerprint(info.Public)}
	}
	return info, nil
}

// describeKey describes the one key that a URI names.
func (c *conn) describeKey(l lib, u signer.URI) (signer.KeyInfo, error) {
	f, err := l.lookup(c.held, u, nil)
	if err != nil {
		return signer.KeyInfo{}, err
	}
	if f.private != nil {
		info, err := c.keyInfo(l, *f.private)
		return info, err
	}
	all, err := c.keyInfos(l, u)
	if err != nil {
		return signer.KeyInfo{}, err
	}
	if len(all) == 0 {
		return signer.KeyInfo{}, l.noKey(c.held, u)
	}
	info := all[0]
	info.Warnings = append(info.Warnings, "seen without a login: what the token reports of the private key is not known")
	return info, nil
}
