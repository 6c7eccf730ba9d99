//go:build cgo || windows

package piv

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/go-piv/piv-go/v2/piv"

	"github.com/fleet-hsm/fleet-hsm/internal/wiresig"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

// Sign implements signer.Signer. It asks for the PIN if the key wants one and the
// card's is not known yet, for the card if it was pulled out, and announces a touch.
// A signature that does not verify is signer.ErrBadSignature and is not made again:
// it may be an attack on the card, and a second one would need a second touch.
func (k *key) Sign(ctx context.Context, message []byte) ([]byte, error) {
	w, p, err := k.start()
	if err != nil {
		return nil, k.fail("signing with key", err)
	}
	digest := sha256.Sum256(message)
	var sig []byte
	err = k.withCard(ctx, w, p, func(s *session, _ card, _ string) error {
		var err error
		sig, err = k.signWith(s, digest[:])
		return err
	})
	if err != nil {
		return nil, k.fail("signing with key", err)
	}
	if err := wiresig.Verify(k.public, message, sig); err != nil {
		return nil, k.fail("checking the signature of key", k.otherKey(message, sig, err))
	}
	return sig, nil
}

// otherKey explains a signature that does not verify: where only the certificate
// told which key is in the slot, and it was not the pinned one, the key may simply
// be the certificate's.
func (k *key) otherKey(message, sig []byte, err error) error {
	found := k.state.key
	if found.source != "certificate" || wiresig.Verify(found.public, message, sig) != nil {
		return err
	}
	return &signer.KeyChangedError{URI: k.uri, Want: wiresig.Fingerprint(k.public), Have: wiresig.Fingerprint(found.public)}
}

// Unlock implements signer.Unlocker: the PIN is asked for and verified now.
func (k *key) Unlock(ctx context.Context) error {
	w, p, err := k.start()
	if err != nil {
		return k.fail("unlocking key", err)
	}
	if !k.needsPIN(p) {
		return nil
	}
	h, release, err := k.b.turn(ctx, p.card)
	if err != nil {
		return k.fail("unlocking key", err)
	}
	defer release()
	if pin, err := k.b.known(h); pin != "" || err != nil {
		return k.failOrNil("unlocking key", err)
	}
	job := k.work(w, p)
	err = k.b.withPIN(ctx, h, job, func(*session, card, string) error { return nil })
	k.finish(job.state, err)
	return k.failOrNil("unlocking key", err)
}

// withCard waits for its turn at the card and runs f there.
func (k *key) withCard(ctx context.Context, w want, p cardState, f func(*session, card, string) error) error {
	h, release, err := k.b.turn(ctx, p.card)
	if err != nil {
		return err
	}
	defer release()
	job := k.work(w, p)
	if k.pinUnknown(p) {
		job.needPIN = false
	}
	err = k.b.withPIN(ctx, h, job, f)
	if !job.needPIN && k.needsPIN(p) && errors.Is(err, errRefused) {
		job.needPIN = true
		err = k.b.withPIN(ctx, h, job, f)
	}
	k.finish(job.state, err)
	return err
}

func (k *key) work(w want, p cardState) *work {
	return &work{
		want: w, state: p, ui: k.ui, needPIN: k.needsPIN(p), limit: 2 * k.b.opts.Deadline,
		device: fmt.Sprintf("%s (slot %s)", p.card, w.slot), note: p.card.pinNote(),
		check: k.same,
	}
}

// same refuses a card whose slot holds another key by now.
func (k *key) same(p cardState) error {
	ref := k.want.ref
	ref.Pinned = k.public
	_, err := publicOf(p, ref)
	return err
}

// needsPIN: every key does, unless the card says otherwise.
func (k *key) needsPIN(p cardState) bool { return p.key.pin != piv.PINPolicyNever }

// pinUnknown: slot 9e needs no PIN by the standard (SP 800-73-4, part 1, table 4b),
// but a card that tells no policy may have been given another one. Asking it for a
// signature without a PIN costs nothing.
func (k *key) pinUnknown(p cardState) bool {
	return p.key.pin == 0 && k.want.slot == piv.SlotCardAuthentication
}

// errRefused: the card wants something first: a PIN, or a touch that did not come.
var errRefused = errors.New("security status not satisfied")

// signWith makes the signature. The PIN, if any, was verified by the command before.
func (k *key) signWith(s *session, digest []byte) ([]byte, error) {
	private, err := s.yk.PrivateKey(k.want.slot, k.public, piv.KeyAuth{PINPolicy: piv.PINPolicyNever})
	if err != nil {
		return nil, err
	}
	signing, ok := private.(crypto.Signer)
	if !ok {
		return nil, &signer.UnsupportedError{What: fmt.Sprintf("a key of type %T", private), Why: "it does not sign"}
	}
	if k.state.key.touch != piv.TouchPolicyNever {
		s.touch()
	}
	if err := s.ctxErr(); err != nil {
		return nil, err
	}
	started := time.Now()
	sig, err := signing.Sign(rand.Reader, digest, options(k.public))
	if err != nil {
		return nil, k.signError(err, time.Since(started))
	}
	return sig, nil
}

// options: without PSS options piv-go makes PKCS #1 v1.5 signatures, which no client
// takes.
func options(public crypto.PublicKey) crypto.SignerOpts {
	if _, ok := public.(*rsa.PublicKey); ok {
		return &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}
	}
	return crypto.SHA256
}

// signError tells a missed touch from the rest: the PIN was right, so what was not
// satisfied is the touch, if the key wants one.
func (k *key) signError(err error, took time.Duration) error {
	switch status(err) {
	case statusNotSatisfied, statusConditions:
		touch := k.state.key.touch
		if touch > piv.TouchPolicyNever || touch == 0 && took >= k.b.touchWait {
			return &causeError{cause: signer.ErrTouchTimeout, err: fmt.Errorf("nobody touched it within %d s (%w)", int(took.Round(time.Second).Seconds()), err)}
		}
		return &causeError{cause: signer.ErrDevice, err: fmt.Errorf("%w: %w", errRefused, err)}
	case statusWrongData, statusNoObject, statusNoReference:
		return &causeError{cause: signer.ErrKeyNotFound, err: err}
	}
	return classify(err)
}

func (k *key) fail(op string, err error) error {
	return keyError(op, k.uri, "", err)
}

func (k *key) failOrNil(op string, err error) error {
	if err == nil {
		return nil
	}
	return k.fail(op, err)
}
