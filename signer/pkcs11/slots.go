//go:build cgo

package pkcs11

import (
	"fmt"
	"slices"
	"strconv"

	p11 "github.com/miekg/pkcs11"

	"github.com/fleet-hsm/fleet-hsm/signer"
)

// findToken finds the one token that a URI names. A slot that cannot be read is
// passed over. Errors: *signer.NotFoundError, *signer.AmbiguousError.
func (l lib) findToken(u signer.URI) (slot, error) {
	all, problems, err := l.present()
	if err != nil {
		return slot{}, err
	}
	var match []slot
	for _, s := range all {
		if l.matches(s, u) {
			match = append(match, s)
		}
	}
	if len(match) > 1 {
		match = named(match)
	}
	switch len(match) {
	case 1:
		return match[0], nil
	case 0:
		return slot{}, perhaps(noToken(u, all, problems), problems)
	}
	many := &signer.AmbiguousError{What: "token", URI: u}
	for _, s := range match {
		many.Candidates = append(many.Candidates, s.String())
	}
	return slot{}, many
}

// present reads every slot with a token in it; problems describes those that cannot
// be read. No slot at all means that the module does not reach its device (a network
// HSM that is down, a daemon that is not running).
func (l lib) present() (all []slot, problems []error, err error) {
	ids, err := l.occupied()
	if err != nil {
		return nil, nil, err
	}
	for _, id := range ids {
		info, err := l.tokenInfo(id)
		if err != nil {
			problems = append(problems, fmt.Errorf("slot %d: %w", id, err))
			continue
		}
		all = append(all, slot{id, info})
	}
	return all, problems, nil
}

// occupied lists the slots that have a token: there are modules that name none of them
// before, or unless, they are asked for all slots.
func (l lib) occupied() ([]uint, error) {
	ids, err := l.slots(true)
	if err != nil || len(ids) > 0 {
		return ids, err
	}
	all, err := l.slots(false)
	if err != nil {
		return nil, err
	}
	for _, id := range all {
		if _, err := l.tokenInfo(id); codeOf(err) != ckrTokenNotPresent {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// unreadableSlotError is a token that was not found while a slot could not be read: it may be in
// there, for a moment (SoftHSM while another process writes) or for good.
type unreadableSlotError struct {
	error
	problem error
}

func (d unreadableSlotError) Unwrap() []error { return []error{d.error, d.problem} }

func perhaps(absent error, problems []error) error {
	for _, p := range problems {
		if meaningOf(codeOf(p)).transient {
			return unreadableSlotError{absent, p}
		}
	}
	return absent
}

func noToken(u signer.URI, all []slot, problems []error) error {
	e := &signer.NotFoundError{What: "token", URI: u, Cause: signer.ErrNoToken}
	for _, s := range all {
		if s.info.Label != "" || s.info.Flags&p11.CKF_TOKEN_INITIALIZED != 0 {
			e.Present = append(e.Present, s.String())
		}
	}
	for _, p := range problems {
		e.Present = append(e.Present, p.Error())
	}
	if len(all)+len(problems) == 0 {
		e.Cause = signer.ErrUnreachable
	}
	return e
}

// named leaves out the tokens without a name and without the flag that they are set up:
// empty slots, most often.
func named(in []slot) []slot {
	var out []slot
	for _, s := range in {
		if !s.blank() {
			out = append(out, s)
		}
	}
	if len(out) == 0 {
		return in
	}
	return out
}

// blank: the token has no name, and its flag does not say that it is set up. Some modules
// forget the flag on tokens that work.
func (s slot) blank() bool {
	return s.info.Flags&p11.CKF_TOKEN_INITIALIZED == 0 && s.info.Label == ""
}

// matches compares a token with the attributes of a URI; what the URI does not say
// matches anything (RFC 7512, section 2.6).
func (l lib) matches(s slot, u signer.URI) bool {
	for name, have := range map[string]string{
		"token": s.info.Label, "serial": s.info.SerialNumber, "model": s.info.Model,
		"manufacturer": s.info.ManufacturerID, "slot-id": strconv.FormatUint(uint64(s.id), 10),
	} {
		if want, ok := u.Attr(name); ok && clean(want) != have {
			return false
		}
	}
	return l.matchesSlot(s.id, u) && l.matchesLibrary(u)
}

func (l lib) matchesSlot(id uint, u signer.URI) bool {
	desc, hasDesc := u.Attr("slot-description")
	maker, hasMaker := u.Attr("slot-manufacturer")
	if !hasDesc && !hasMaker {
		return true
	}
	i, err := l.slotInfo(id)
	return err == nil && (!hasDesc || clean(desc) == clean(i.SlotDescription)) &&
		(!hasMaker || clean(maker) == clean(i.ManufacturerID))
}

func (l lib) matchesLibrary(u signer.URI) bool {
	desc, hasDesc := u.Attr("library-description")
	maker, hasMaker := u.Attr("library-manufacturer")
	version, hasVersion := u.Attr("library-version")
	if !hasDesc && !hasMaker && !hasVersion {
		return true
	}
	i, err := l.c.GetInfo()
	if err != nil {
		return false
	}
	have := fmt.Sprintf("%d.%d", i.LibraryVersion.Major, i.LibraryVersion.Minor)
	return (!hasDesc || clean(desc) == clean(i.LibraryDescription)) &&
		(!hasMaker || clean(maker) == clean(i.ManufacturerID)) && (!hasVersion || version == have)
}

// tokenAttrs are the attributes that say which token, not which key.
func tokenAttrs() []string { return slices.Concat(kind.Device, kind.Traits, kind.Local) }

// tokenURI cuts a URI down to its token.
func tokenURI(u signer.URI) signer.URI {
	t := kind.URI()
	for _, name := range tokenAttrs() {
		if v, ok := u.Attr(name); ok {
			t = t.With(name, v)
		}
	}
	return t
}
