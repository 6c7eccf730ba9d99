//go:build cgo || windows

package piv

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-piv/piv-go/v2/piv"

	"github.com/fleet-hsm/fleet-hsm/signer"
)

// Probe looks for what would keep a person from signing with the key that ref names,
// or with any YubiKey if ref has neither serial nor reader. It asks for nothing and
// changes nothing. Codes:
//
//	pcsc-daemon, pcsc-denied, card-present, card-busy, card-ambiguous, card-problem
//	card-firmware, card-factory-settings, card-pin-tries
//	key-present, key-expected, key-usable, key-stale-certificate
func (b *Backend) Probe(ctx context.Context, ref signer.Ref) []signer.Finding {
	if _, err := b.listReaders(ctx); err != nil {
		if errors.Is(err, signer.ErrDenied) {
			return []signer.Finding{problem("pcsc-denied", err)}
		}
		return []signer.Finding{problem("pcsc-daemon", err)}
	}
	out := []signer.Finding{good("pcsc-daemon", "the PC/SC daemon answers")}
	w := want{ref: ref}
	if _, ok := ref.URI.Attr("slot"); ok {
		slot, err := slotOf(ref.URI)
		if err != nil {
			return append(out, problem("card-problem", err))
		}
		w.slot = slot
	}
	p, err := b.scan(ctx, w)
	if err != nil {
		return append(out, problem(codeOf(err), err))
	}
	out = append(out, good("card-present", fmt.Sprintf("%s is there", p.card)))
	out = append(out, b.probeCard(ctx, p)...)
	if w.slot != (piv.Slot{}) {
		out = append(out, b.probeKey(ctx, w, p)...)
	}
	return out
}

func codeOf(err error) string {
	switch {
	case errors.Is(err, signer.ErrDenied):
		return "pcsc-denied"
	case errors.Is(err, signer.ErrBusy):
		return "card-busy"
	case errors.Is(err, signer.ErrAmbiguous):
		return "card-ambiguous"
	case errors.Is(err, signer.ErrNoToken):
		return "card-present"
	}
	return "card-problem"
}

func good(code, text string) signer.Finding { return signer.Finding{Code: code, OK: true, Text: text} }

func problem(code string, err error) signer.Finding {
	return signer.Finding{Code: code, Text: err.Error(), Err: err}
}

// probeCard looks at firmware, tries and factory settings.
func (b *Backend) probeCard(ctx context.Context, p cardState) []signer.Finding {
	t, err := b.token(ctx, p.card.reader)
	if err != nil {
		return []signer.Finding{problem(codeOf(err), err)}
	}
	out := probeFirmware(p)
	if t.Initialized {
		out = append(out, good("card-factory-settings", "the management key is not the factory's"))
	} else {
		out = append(out, signer.Finding{Code: "card-factory-settings", Text: "the management key is the factory's", Err: signer.ErrNotSetUp})
	}
	switch {
	case t.PINTriesLeft == 0:
		out = append(out, problem("card-pin-tries", signer.ErrPINLocked))
	case t.PINTriesLeft == 1:
		out = append(out, problem("card-pin-tries", signer.ErrLastTry))
	case t.PINTriesLeft > 1:
		out = append(out, good("card-pin-tries", fmt.Sprintf("%d PIN tries left", t.PINTriesLeft)))
	}
	return out
}

// probeFirmware names the known flaws of the card. Who has such a card decides: a flaw is
// a problem only where no key of the kind should have been made at all.
func probeFirmware(p cardState) []signer.Finding {
	alg, _ := signer.AlgorithmOf(p.key.public) // any kind, if none is known
	warnings := p.card.warnings(alg)
	if len(warnings) == 0 {
		return []signer.Finding{good("card-firmware", "firmware "+p.card.firmware())}
	}
	var out []signer.Finding
	for _, w := range warnings {
		out = append(out, signer.Finding{Code: "card-firmware", OK: true, Warning: true, Text: fmt.Sprintf("%s: %s", p.card, w)})
	}
	if flaw := p.card.forbidden(alg); alg != "" && flaw != "" && p.key.origin != "imported" {
		out = append(out, signer.Finding{Code: "card-firmware", Text: fmt.Sprintf("%s: the key in this slot can be factored (%s); make another one elsewhere and rotate", p.card, flaw)})
	}
	return out
}

// probeKey looks at the slot.
func (b *Backend) probeKey(ctx context.Context, w want, p cardState) []signer.Finding {
	public, err := publicOf(p, w.ref)
	if err != nil {
		code := "key-usable"
		switch {
		case errors.Is(err, signer.ErrKeyNotFound):
			code = "key-present"
		case errors.Is(err, signer.ErrKeyChanged):
			code = "key-expected"
		}
		return []signer.Finding{problem(code, err)}
	}
	out := []signer.Finding{good("key-present", fmt.Sprintf("slot %s holds a key", w.slot))}
	if w.ref.Pinned != nil && p.key.public != nil && p.key.source != "certificate" {
		out = append(out, good("key-expected", "it is the key that is expected"))
	}
	if err := signable(p, public); err != nil {
		out = append(out, problem("key-usable", err))
	}
	return append(out, b.probeCertificate(ctx, w, p)...)
}

// probeCertificate finds the certificate of an older key, which other programs take
// for the slot's.
func (b *Backend) probeCertificate(ctx context.Context, w want, p cardState) []signer.Finding {
	if p.key.public == nil || p.key.source == "certificate" {
		return nil
	}
	var k slotKey
	v := transaction{reader: p.card.reader, limit: b.opts.Deadline, busy: b.opts.BusyFor}
	err := b.exchange(ctx, v, func(s *session) error { return s.certified(w.slot, &k) })
	if err != nil || k.certificate == nil || signer.SamePublic(p.key.public, k.certificate.PublicKey) {
		return nil
	}
	return []signer.Finding{{
		Code: "key-stale-certificate",
		Text: fmt.Sprintf("the certificate in slot %s is of another key than the one in it; other programs will be misled", w.slot),
	}}
}
