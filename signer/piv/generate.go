//go:build cgo || windows

package piv

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/go-piv/piv-go/v2/piv"

	"github.com/fleet-hsm/fleet-hsm/internal/wiresig"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

// Generate makes a key in the slot that ref names, on the card. What it refuses it
// refuses before it changes anything, and most of it before the PIN: a slot with a
// key in it (signer.ErrKeyExists) unless opts.Overwrite repeats that key's ID, a
// card that still has the factory management key (signer.ErrNotSetUp), an algorithm
// or policy that the card lacks, and, where opts.AttestationRoots are given, a card
// whose attestation does not verify (signer.ErrAttestation).
//
// The attestation is fetched at once and must be of this key, slot and card. A card
// that has none, or one that no known root vouches for, is a warning. The attested
// certificate is put into the slot, so that other programs see the key and no
// certificate of an older key stays there.
func (b *Backend) Generate(ctx context.Context, ref signer.Ref, opts signer.GenerateOptions, ui signer.UI) (signer.Generated, error) {
	g, err := b.generate(ctx, ref, opts, ui)
	if err != nil {
		return signer.Generated{}, keyError("generating key", ref.URI, "", err)
	}
	return g, nil
}

// recipe is what to generate, in piv-go's terms.
type recipe struct {
	piv.Key
	algorithm signer.Algorithm
}

func (b *Backend) generate(ctx context.Context, ref signer.Ref, opts signer.GenerateOptions, ui signer.UI) (signer.Generated, error) {
	var none signer.Generated
	slot, err := slotOf(ref.URI)
	if err != nil {
		return none, err
	}
	r, err := recipeOf(opts)
	if err != nil {
		return none, err
	}
	ref.Pinned = nil
	w := want{ref: ref, slot: slot}
	p, err := b.locate(ctx, w, ui)
	if err != nil {
		return none, err
	}
	if err := able(p.card, r.algorithm); err != nil {
		return none, err
	}
	if err := free(p, opts); err != nil {
		return none, err
	}
	h, release, err := b.turn(ctx, p.card)
	if err != nil {
		return none, err
	}
	defer release()
	job := &generateJob{b: b, recipe: r, opts: opts, work: &work{
		want: w, state: p, ui: ui, needPIN: true, limit: limitFor(r.algorithm, b.opts),
		device: fmt.Sprintf("%s (slot %s)", p.card, slot), note: p.card.pinNote(),
	}}
	if err := job.prepare(ctx); err != nil {
		return none, err
	}
	if err := job.withKey(ctx, h); err != nil {
		return none, err
	}
	return job.generated()
}

// limitFor: a card looks for the primes of an RSA key for a minute or more.
func limitFor(a signer.Algorithm, o Options) time.Duration {
	if a.RSABits() > 0 {
		return 20 * o.Deadline
	}
	return 2 * o.Deadline
}

// recipeOf reads the options. Policies default to "always".
func recipeOf(opts signer.GenerateOptions) (recipe, error) {
	r := recipe{algorithm: opts.Algorithm, Key: piv.Key{PINPolicy: piv.PINPolicyAlways, TouchPolicy: piv.TouchPolicyAlways}}
	switch opts.Algorithm {
	case "", signer.P256:
		r.algorithm, r.Algorithm = signer.P256, piv.AlgorithmEC256
	case signer.RSA2048:
		r.Algorithm = piv.AlgorithmRSA2048
	case signer.RSA3072:
		r.Algorithm = piv.AlgorithmRSA3072
	case signer.RSA4096:
		r.Algorithm = piv.AlgorithmRSA4096
	case signer.Ed25519:
		return r, errEd25519()
	default:
		return r, &signer.UnsupportedError{What: fmt.Sprintf("algorithm %q", opts.Algorithm), Why: "a card makes p256, rsa2048, rsa3072 and rsa4096"}
	}
	switch opts.PINPolicy {
	case "", "always":
	case "once", "never":
		r.PINPolicy = pinPolicyOf(opts.PINPolicy)
	default:
		return r, &signer.UnsupportedError{What: fmt.Sprintf("PIN policy %q", opts.PINPolicy), Why: "it is never, once or always"}
	}
	switch opts.TouchPolicy {
	case "", "always":
	case "cached", "never":
		r.TouchPolicy = touchPolicyOf(opts.TouchPolicy)
	default:
		return r, &signer.UnsupportedError{What: fmt.Sprintf("touch policy %q", opts.TouchPolicy), Why: "it is never, cached or always"}
	}
	if opts.Count > 1 {
		return r, &signer.UnsupportedError{What: fmt.Sprintf("%d keys in one slot", opts.Count), Why: "a slot holds one"}
	}
	return r, nil
}

// able refuses what a YubiKey's firmware does not have, or has wrong.
func able(c card, a signer.Algorithm) error {
	switch {
	case c.before(4, 3, 0):
		return errOld(c)
	case a.RSABits() > 2048 && c.before(5, 7, 0):
		return &signer.UnsupportedError{What: fmt.Sprintf("%s on firmware %s", a, c.firmware()), Why: "it came with 5.7", Option: signer.OptionAlgorithm}
	}
	if flaw := c.forbidden(a); flaw != "" {
		return &signer.UnsupportedError{
			What: fmt.Sprintf("%s on firmware %s", a, c.firmware()), Why: "such keys can be factored (" + flaw + ")", Option: signer.OptionAlgorithm,
		}
	}
	return nil
}

// forbidden gives the flaw for which the card is not to make a kind of key, "" for none.
func (c card) forbidden(a signer.Algorithm) string {
	if !c.yubikey {
		return ""
	}
	return forbidden(c.version, a)
}

// free refuses a slot with another key in it than the one that may go.
func free(p cardState, opts signer.GenerateOptions) error {
	if p.key.empty {
		return nil
	}
	if p.key.problem != nil {
		return &causeError{cause: signer.ErrKeyExists, err: fmt.Errorf("slot holds a key that is not understood: %w", p.key.problem)}
	}
	if p.key.public == nil {
		return nil
	}
	id := ""
	if opts.KeyID != nil {
		id = opts.KeyID(p.key.public)
	}
	if id == "" { // a key that has no ID, such as one on another curve
		id = wiresig.Fingerprint(p.key.public)
	}
	if opts.Overwrite != "" && opts.Overwrite == id {
		return nil
	}
	return &causeError{cause: signer.ErrKeyExists, err: fmt.Errorf("slot holds key %s", id)}
}

// generateJob is one run of Generate.
type generateJob struct {
	b      *Backend
	recipe recipe
	opts   signer.GenerateOptions
	work   *work

	management []byte // given by a person; nil: the one that is stored under the PIN
	proven     []byte // the one that the card took
	unsure     bool   // whether the slot is free shows only with the PIN

	device      *x509.Certificate // the card's own attestation certificate
	public      crypto.PublicKey
	attestation signer.Attestation
	warnings    []string
}

// prepare looks, without a PIN, for what would make the key useless.
func (j *generateJob) prepare(ctx context.Context) error {
	return j.b.exchange(ctx, j.work.transaction(j.b), func(s *session) error {
		c, err := j.work.checkSameCard(s)
		if err != nil {
			return err
		}
		err = s.direct(c, func(d *direct) error {
			factory, err := d.hasFactoryKey(c)
			if err == nil && factory {
				err = &causeError{cause: signer.ErrNotSetUp, err: errors.New("the card has the factory management key")}
			}
			return err
		})
		if err == nil {
			err = s.reopen(c)
		}
		if err != nil {
			return err
		}
		if p := j.work.state.key; p.public == nil && !p.empty && p.problem == nil {
			if err := j.probeSlot(s, c, ""); err != nil {
				return err
			}
		}
		if j.device, err = s.yk.AttestationCertificate(); err != nil {
			j.device = nil
			return s.fatal(err)
		}
		if len(j.opts.AttestationRoots) == 0 {
			return nil
		}
		_, err = chainOf(asIssuer(j.device), nil, j.opts.AttestationRoots)
		return err
	})
}

// make generates the key, and looks at what became of it.
func (j *generateJob) make(s *session, c card, l *login) error {
	// The slot may have been filled while the person typed.
	found, err := s.key(c, j.work.want.slot)
	if err != nil {
		return err
	}
	if err := free(cardState{card: c, key: found}, j.opts); err != nil {
		return err
	}
	if j.unsure {
		if err := l.enter(s, c); err != nil {
			return err
		}
		if err := j.probeSlot(s, c, l.pin); err != nil {
			return err
		}
	}
	attested := false
	err = s.direct(c, func(d *direct) (err error) {
		if err := l.enter(d, c); err != nil {
			return err
		}
		defer d.dropPIN(c)
		attested, err = j.makeWith(d, c, found, l.pin)
		return err
	})
	if err != nil {
		return err
	}
	if !attested {
		j.certify(s, c, l.pin)
	}
	if err := s.reopen(c); err != nil {
		return final(err)
	}
	return j.readBack(s, c)
}

// final is an error after which nothing is tried again, because the key is made.
func final(err error) error {
	var absent *absentError
	if errors.As(err, &absent) {
		return absent.err
	}
	return err
}

// makeWith generates the key and attests it, in one connection. The PIN was verified there.
func (j *generateJob) makeWith(d *direct, c card, found slotKey, pin string) (attested bool, err error) {
	if err := j.authorize(d); err != nil {
		return false, err
	}
	if err := d.unchanged(j.work.want.slot, found); err != nil {
		return false, err
	}
	if err := d.ctxErr(); err != nil {
		return false, err
	}
	j.public, err = d.generate(c, j.work.want.slot, j.recipe)
	if err != nil {
		return false, j.refused(err)
	}
	if a, err := signer.AlgorithmOf(j.public); err != nil || a != j.recipe.algorithm {
		return false, &causeError{cause: signer.ErrDevice, err: fmt.Errorf("the card made another kind of key than %s", j.recipe.algorithm)}
	}
	j.warnings = append(j.warnings, c.warnings(j.recipe.algorithm)...)
	if pin == factoryPIN {
		j.warnings = append(j.warnings, "the card still has the factory PIN")
	}
	return j.inspect(d, c)
}

// errNeedKey: the management key is not on the card, so a person must give it.
var errNeedKey = errors.New("no management key is stored under the PIN")

// authorize proves the management key: the one that was given, or the one that is stored
// under the PIN, which was verified.
func (j *generateJob) authorize(d *direct) error {
	key, where := j.management, "that was given"
	if key == nil {
		stored, err := d.storedKey()
		if err != nil {
			return err
		}
		if stored == nil {
			return errNeedKey
		}
		key, where = stored, "that is stored under the PIN"
	}
	ok, err := d.authenticate(key)
	if err == nil && !ok && j.management == nil {
		return errNeedKey
	}
	if err == nil && !ok {
		err = &causeError{cause: signer.ErrManagement, err: fmt.Errorf("the one %s is not the card's; that costs no try, and nothing was changed", where)}
	}
	j.proven = key
	return err
}

// withKey runs make, and once more with a management key that a person gave, if it is not
// on the card. The PIN is known by then.
func (j *generateJob) withKey(ctx context.Context, h *holder) error {
	err := j.b.withLogin(ctx, h, j.work, j.make)
	if !errors.Is(err, errNeedKey) {
		return err
	}
	key, asked := askManagementKey(ctx, j.work.ui, j.work)
	switch {
	case errors.Is(asked, signer.ErrNoSecret), errors.Is(asked, signer.ErrNoTerminal):
		return &causeError{cause: signer.ErrManagement, err: errors.New("no management key of the card is stored under the PIN, and none was given; nothing was changed")}
	case asked != nil:
		return asked
	}
	j.management = key
	return j.b.withLogin(ctx, h, j.work, j.make)
}
