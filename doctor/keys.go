package doctor

import (
	"context"
	"crypto/rand"
	"errors"

	"github.com/fleet-hsm/fleet-hsm/internal/wiresig"
	"github.com/fleet-hsm/fleet-hsm/keyring"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

// keysOf lists every place that is known of a key in root.
func keysOf(keys *keyring.Ring, root *meta.Root) []signer.Ref {
	var refs []signer.Ref
	seen := map[string]bool{}
	for _, role := range meta.Roles() {
		for _, k := range root.Keys(role) {
			for _, c := range keys.Candidates(role, k) {
				// One file serves all its keys; its public parts are behind the passphrase.
				id := c.URI.String() + k.ID.String()
				if c.URI.Kind().Sealed {
					id = c.URI.String()
				}
				if !seen[id] {
					seen[id] = true
					refs = append(refs, signer.Ref{URI: c.URI, Pinned: k.Public, Roles: []string{role}})
				}
			}
		}
	}
	return refs
}

// Key looks whether a key is there and usable, and is the one that root names.
func (e *Examination) Key(ctx context.Context, ref signer.Ref) {
	subject := ref.URI.String()
	be, err := e.Session.Keys.Backends.For(ref.URI)
	if err != nil {
		e.add(Bad(subject, "backend", err))
		return
	}
	well := true
	if p, ok := be.(signer.Prober); ok {
		for _, f := range p.Probe(ctx, ref) {
			well = well && f.OK
			e.add(Finding{Subject: subject, Finding: f})
		}
	}
	if !e.Sign || !well {
		return
	}
	if err := e.sign(ctx, ref); err != nil {
		e.add(Bad(subject, "sign", err))
		return
	}
	e.add(Good(subject, "sign", "signs, and the signature verifies"))
}

// notMetadata begins what doctor signs: it is no JSON, so no client can ever take it
// for the signed part of metadata.
const notMetadata = "fleet-hsm doctor: this is not metadata\n"

func (e *Examination) sign(ctx context.Context, ref signer.Ref) (err error) {
	s, err := e.Session.Keys.Backends.Open(ctx, ref, e.Session.UI)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	message := append([]byte(notMetadata), rand.Text()...)
	sig, err := s.Sign(ctx, message)
	if err != nil {
		return err
	}
	return wiresig.Verify(s.Public(), message, sig)
}
