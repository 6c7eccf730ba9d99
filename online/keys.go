package online

import (
	"context"
	"crypto"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/internal/wiresig"
)

// keySlot is a configured key and, while it works, the open one.
type keySlot struct {
	source KeySource
	key    Key
	opened int
	// root is the version of the root that key was opened for.
	root int64
}

func (k *keySlot) close() error {
	if k.key == nil {
		return nil
	}
	err := k.key.Close()
	k.key = nil
	return err
}

// signTimestamp collects as many signatures as the role needs, from the first keys
// that can give them.
func (s *Service) signTimestamp(ctx context.Context, message []byte) ([]tuf.Signature, error) {
	role := s.root().roles[roleTimestamp]
	var sigs []tuf.Signature
	used := map[string]bool{}
	var errs, passed []error
	for _, slot := range s.keys {
		if len(sigs) == role.threshold {
			break
		}
		id, sig, err := s.signWith(ctx, slot, role, message)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			err = fmt.Errorf("key %q: %w", slot.source.Name(), err)
			if errors.Is(err, ErrNoKey) {
				passed = append(passed, err)
			} else {
				errs = append(errs, err)
			}
			continue
		}
		if err := s.note(message, id, slot, sig); err != nil {
			return nil, err
		}
		if print := wiresig.Fingerprint(role.keys[id]); !used[print] {
			used[print] = true
			sigs = append(sigs, tuf.Signature{KeyID: id, Sig: hex.EncodeToString(sig)})
			s.cfg.Metrics.signature(slot.source.Name())
		}
	}
	if len(sigs) < role.threshold {
		// A key that waits for its turn is not what is wrong, unless there is no other.
		if len(errs) == 0 {
			errs = passed
		}
		return nil, &SignError{Have: len(sigs), Need: role.threshold, Err: errors.Join(errs...)}
	}
	slices.SortFunc(sigs, func(a, b tuf.Signature) int { return a.KeyID.Compare(b.KeyID) })
	return sigs, nil
}

// note tells of a signature.
func (s *Service) note(message []byte, id tuf.KeyID, slot *keySlot, sig []byte) error {
	if s.cfg.Signed == nil {
		return nil
	}
	err := s.cfg.Signed(Signature{s.mem.Reserved.Version, message, id, slot.source.Name(), sig})
	if err != nil {
		return fmt.Errorf("the signature is not logged, so it is not used: %w", err)
	}
	return nil
}

// signWith asks one key, and once more after opening it again: an HSM may have been
// restarted since.
func (s *Service) signWith(ctx context.Context, slot *keySlot, role roleKeys, message []byte) (id tuf.KeyID, sig []byte, err error) {
	fresh := slot.key == nil
	id, sig, err = s.tryKey(ctx, slot, role, message)
	if err == nil || errors.Is(err, ErrNoKey) {
		return id, sig, err
	}
	s.cfg.Metrics.keyError(slot.source.Name())
	s.log.Warn("key failed", "key", slot.source.Name(), "error", err)
	_ = slot.close()
	if fresh || ctx.Err() != nil {
		return tuf.KeyID{}, nil, err
	}
	id, sig, err = s.tryKey(ctx, slot, role, message)
	if err != nil && !errors.Is(err, ErrNoKey) {
		s.cfg.Metrics.keyError(slot.source.Name())
		_ = slot.close()
	}
	return id, sig, err
}

func (s *Service) tryKey(ctx context.Context, slot *keySlot, role roleKeys, message []byte) (tuf.KeyID, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.SignTimeout)
	defer cancel()
	// The place of a key that is no longer named may hold the one that is.
	if slot.key != nil && slot.root != s.root().Version && !role.names(slot.key) {
		_ = slot.close()
	}
	if slot.key == nil {
		key, err := slot.source.Open(ctx, role.publics())
		if err != nil {
			return tuf.KeyID{}, nil, err
		}
		if slot.opened++; slot.opened > 1 {
			s.cfg.Metrics.reconnect(slot.source.Name())
			s.log.Info("key opened again", "key", slot.source.Name())
		}
		slot.key, slot.root = key, s.root().Version
	}
	// A key that root does not name is not used: it may be that of the next root.
	if !role.names(slot.key) {
		return tuf.KeyID{}, nil, ErrNoKey
	}
	sig, err := slot.key.Sign(ctx, message)
	if err != nil {
		return tuf.KeyID{}, nil, err
	}
	id := role.verifies(message, sig)
	if id.IsZero() {
		return tuf.KeyID{}, nil, wiresig.ErrBadSignature
	}
	return id, sig, nil
}

// names reports whether the key is one of the role's, as far as it can be told.
func (rk roleKeys) names(key Key) bool {
	pub := key.Public()
	return pub == nil || !rk.idOf(pub).IsZero()
}

// idOf is the key ID under which root names pub for the role, zero if it does not.
func (rk roleKeys) idOf(pub crypto.PublicKey) tuf.KeyID {
	want := wiresig.Fingerprint(pub)
	for _, id := range rk.ids() {
		if want != "" && wiresig.Fingerprint(rk.keys[id]) == want {
			return id
		}
	}
	return tuf.KeyID{}
}

// verifies is the key ID of the role's key that made sig, zero if none did.
func (rk roleKeys) verifies(message, sig []byte) tuf.KeyID {
	for _, id := range rk.ids() {
		if wiresig.Verify(rk.keys[id], message, sig) == nil {
			return id
		}
	}
	return tuf.KeyID{}
}

// ids are the key IDs in a fixed order.
func (rk roleKeys) ids() []tuf.KeyID {
	return slices.SortedFunc(maps.Keys(rk.keys), tuf.KeyID.Compare)
}
