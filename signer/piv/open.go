//go:build cgo || windows

package piv

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"sync"

	"github.com/go-piv/piv-go/v2/piv"

	"github.com/fleet-hsm/fleet-hsm/internal/wiresig"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

// Open finds the card and the key in its slot, without any PIN, and lets the card
// go. A card that is absent is asked for. Errors match signer.ErrNoToken,
// ErrKeyNotFound, ErrKeyChanged, ErrAmbiguous, ErrBusy, ErrUnreachable,
// ErrUnsupported or ErrCanceled.
func (b *Backend) Open(ctx context.Context, ref signer.Ref, ui signer.UI) (signer.Signer, error) {
	k, err := b.open(ctx, ref, ui)
	if err != nil {
		return nil, keyError("opening key", ref.URI, "", err)
	}
	return k, nil
}

func (b *Backend) open(ctx context.Context, ref signer.Ref, ui signer.UI) (*key, error) {
	slot, err := slotOf(ref.URI)
	if err != nil {
		return nil, err
	}
	if b.isClosed() {
		return nil, errClosed
	}
	w := want{ref: ref, slot: slot}
	p, err := b.locate(ctx, w, ui)
	if err != nil {
		return nil, err
	}
	public, err := publicOf(p, ref)
	if err != nil {
		return nil, err
	}
	if err := signable(p, public); err != nil {
		return nil, err
	}
	k := &key{b: b, ui: ui, want: w, state: p, public: public, uri: p.card.uri(ref.URI, slot.String())}
	k.want.ref.URI = withQuery(k.uri, ref.URI)
	return k, nil
}

// withQuery is where secrets of the key are asked for: the URI as it was given, so
// that its pin-source is seen.
func withQuery(full, given signer.URI) signer.URI {
	if _, ok := given.Query("pin-source"); ok {
		return given
	}
	return full
}

func (b *Backend) isClosed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.closed
}

// publicOf decides which key is in the slot, and refuses another than the pinned
// one. A slot's certificate yields to the pinned key, because it may be that of an
// older key; verifying each signature tells in the end.
func publicOf(p cardState, ref signer.Ref) (crypto.PublicKey, error) {
	k := p.key
	switch {
	case k.empty:
		return nil, notInSlot(p, ref)
	case k.problem != nil:
		return nil, &signer.UnsupportedError{What: "the key in this slot", Why: k.problem.Error()}
	case k.public == nil && ref.Pinned == nil:
		return nil, notInSlot(p, ref)
	case ref.Pinned != nil && (k.public == nil || k.source == "certificate"):
		return ref.Pinned, nil
	case ref.Pinned != nil && !signer.SamePublic(ref.Pinned, k.public):
		return nil, &signer.KeyChangedError{URI: ref.URI, Want: wiresig.Fingerprint(ref.Pinned), Have: wiresig.Fingerprint(k.public)}
	}
	return k.public, nil
}

func notInSlot(p cardState, ref signer.Ref) error {
	return &signer.NotFoundError{
		What: "key", URI: ref.URI, Present: []string{fmt.Sprintf("%s, firmware %s", p.card, p.card.firmware())}, Cause: signer.ErrKeyNotFound,
	}
}

// signable refuses what cannot make a signature that agents accept.
func signable(p cardState, public crypto.PublicKey) error {
	alg, err := signer.AlgorithmOf(public)
	if err != nil {
		return err
	}
	if alg == signer.Ed25519 {
		return errEd25519()
	}
	if p.key.pin == piv.PINPolicyMatchOnce || p.key.pin == piv.PINPolicyMatchAlways {
		return &signer.UnsupportedError{What: "a key with a biometric PIN policy", Why: "it was never tested; make one with PIN policy always"}
	}
	if p.card.before(4, 3, 0) {
		return errOld(p.card)
	}
	return nil
}

func errEd25519() error {
	return &signer.UnsupportedError{What: "an Ed25519 key on a PIV card", Why: "the card takes the whole message and has 3,072 bytes for it; use P-256"}
}

func errOld(c card) error {
	return &signer.UnsupportedError{What: "firmware " + c.firmware(), Why: "keys need 4.3 or later, which attests them"}
}

// keyError says which key an error happened to, unless the error does so itself.
func keyError(op string, u signer.URI, token string, err error) error {
	var (
		notFound *signer.NotFoundError
		changed  *signer.KeyChangedError
		many     *signer.AmbiguousError
		uri      *signer.URIError
	)
	if errors.As(err, &notFound) || errors.As(err, &changed) || errors.As(err, &many) || errors.As(err, &uri) {
		return err
	}
	return &signer.KeyError{Op: op, URI: u, Token: token, Err: err}
}

// key is one key on one card. It implements signer.Signer and signer.Unlocker.
type key struct {
	b      *Backend
	ui     signer.UI
	public crypto.PublicKey
	uri    signer.URI

	mu     sync.Mutex
	want   want
	state  cardState
	closed bool
	dead   error // a call to the card was left behind
}

// URI implements signer.Signer.
func (k *key) URI() signer.URI { return k.uri }

// Public implements signer.Signer.
func (k *key) Public() crypto.PublicKey { return k.public }

// Close implements signer.Signer. The card is not held, so there is little to do;
// the PIN stays with the backend for the other keys of the card.
func (k *key) Close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.closed = true
	return nil
}

// start gives the state to work with, unless the signer is of no use any more.
func (k *key) start() (want, cardState, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return want{}, cardState{}, errors.New("signer is closed")
	}
	return k.want, k.state, k.dead
}

// finish keeps what was learned: where the card is now, or that it is stuck.
func (k *key) finish(p cardState, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var left *abandonedError
	if errors.As(err, &left) {
		k.dead = &causeError{cause: signer.ErrDeadline, err: errors.New("an earlier call to the card was left behind")}
		return
	}
	k.state.card = p.card
}
