//go:build cgo || windows

package piv

import (
	"crypto"
	"crypto/x509"
	"errors"
	"strconv"

	"github.com/go-piv/piv-go/v2/piv"

	"github.com/fleet-hsm/fleet-hsm/signer"
)

// slotKey is what a card says of one slot without a PIN.
type slotKey struct {
	public crypto.PublicKey // nil if the card does not tell
	// source is "metadata", "attestation" or "certificate", in falling trust.
	source string
	// empty: the card says that there is no key. Not set if it merely cannot tell.
	empty              bool
	pin                piv.PINPolicy   // 0 if unknown
	touch              piv.TouchPolicy // 0 if unknown
	origin             string          // "generated", "imported" or ""
	problem            error           // why the key cannot be understood
	certificate        *x509.Certificate
	certificateProblem error
}

// identify reads what tells this card from others. On firmware before 5 reading the
// serial number selects another applet, which drops a verified PIN: it comes first
// in every visit.
func (s *session) identify() (card, error) {
	v := s.yk.Version()
	c := card{reader: s.reader, version: version{v.Major, v.Minor, v.Patch}, yubikey: isYubiKey(s.reader)}
	if !c.yubikey && c.version.major < 5 {
		return c, nil // would ask for Yubico's applet, which is not there
	}
	n, err := s.yk.Serial()
	if err != nil {
		if status(err) != 0 {
			return c, nil // other vendors, and a YubiKey 4 whose OTP applet is off
		}
		return c, classify(err)
	}
	c.serial = strconv.FormatUint(uint64(n), 10)
	return c, nil
}

// tries tells how many wrong PINs the card still takes, -1 if it does not tell.
func (s *session) tries(c card) (int, error) {
	n, err := s.yk.Retries()
	switch {
	case err == nil:
		return n, nil
	case status(err) != 0:
		return -1, nil
	case !isVerified(err):
		return 0, s.fatal(err)
	case !c.yubikey:
		return -1, nil // a PIN that counts as verified has all its tries
	}
	s.dropPIN(c)
	if n, err = s.yk.Retries(); err != nil {
		return -1, s.fatal(err)
	}
	return n, nil
}

// isVerified: piv-go's Retries complains itself, wrapping nothing, if the card tells
// no number because the PIN counts as verified, left over from another program.
func isVerified(err error) bool { return isLocal(err) && errors.Unwrap(err) == nil }

// fatal is the error of a card or daemon that is gone or broken, nil for an answer
// that piv-go merely could not use. A card that dies under a command may leave an
// empty answer, which piv-go tells apart by its text only: the card is asked again.
func (s *session) fatal(err error) error {
	if err == nil || status(err) != 0 {
		return nil
	}
	if pcscCode(err) != 0 {
		return classify(err)
	}
	_, again := s.yk.Retries()
	if again == nil || status(again) != 0 || isVerified(again) {
		return nil
	}
	if pcscCode(again) != 0 {
		return classify(again)
	}
	return &causeError{cause: signer.ErrDevice, err: err}
}

// dropPIN makes a YubiKey forget that a PIN was verified, by selecting another
// applet and PIV again. Without it a key with PIN policy "once" signs for whoever
// opens the card next.
func (s *session) dropPIN(c card) {
	if !c.yubikey {
		return
	}
	if c.version.major < 5 {
		_, _ = s.yk.Serial()
		return
	}
	_, _ = s.yk.FormFactor()
}

// key reads a slot. An error means that the card is gone or broken; what the card
// merely does not tell is left empty.
func (s *session) key(c card, slot piv.Slot) (slotKey, error) {
	k, err := s.metadata(c, slot)
	if err != nil || k.public != nil || k.empty || k.problem != nil {
		return k, err
	}
	if err := s.attested(c, slot, &k); err != nil || k.public != nil {
		return k, err
	}
	if err := s.certified(slot, &k); err != nil {
		return k, err
	}
	if k.certificate != nil {
		k.public, k.source = k.certificate.PublicKey, "certificate"
	}
	return k, nil
}

// metadata asks with GET METADATA, which YubiKeys know since firmware 5.3.
func (s *session) metadata(c card, slot piv.Slot) (slotKey, error) {
	var k slotKey
	if c.before(5, 3, 0) {
		return k, nil
	}
	info, err := s.yk.KeyInfo(slot)
	if dead := s.fatal(err); dead != nil {
		return k, dead
	}
	switch {
	case err == nil:
		k.pin, k.touch, k.public = info.PINPolicy, info.TouchPolicy, info.PublicKey
		k.origin = originName(info.Origin)
		if k.public != nil {
			k.source = "metadata"
		}
	case status(err) == statusNoReference:
		k.empty = true
	case isLocal(err):
		return s.oddMetadata(c, slot, err)
	}
	return k, nil
}

// oddMetadata reads what piv-go could not: metadata that says that no key is there, by an
// origin of 0 and without a public key, instead of being refused.
func (s *session) oddMetadata(c card, slot piv.Slot, cause error) (slotKey, error) {
	var list map[uint16][]byte
	err := s.direct(c, func(d *direct) (err error) {
		list, err = d.metadataOf(byte(slot.Key))
		return err
	})
	if err == nil {
		err = s.reopen(c)
	}
	if err != nil {
		return slotKey{}, err
	}
	if origin := list[3]; len(list) > 0 && len(list[4]) == 0 && (len(origin) == 0 || len(origin) == 1 && origin[0] == 0) {
		return slotKey{empty: true}, nil
	}
	if !c.yubikey {
		return slotKey{}, nil // the card may tell in other ways
	}
	return slotKey{problem: cause}, nil
}

// attested asks for the attestation: what firmware before 5.3 has instead of
// metadata. It tells the policies of generated keys, and nothing of imported ones.
func (s *session) attested(c card, slot piv.Slot, k *slotKey) error {
	if c.before(4, 3, 0) {
		return nil
	}
	cert, err := s.yk.Attest(slot)
	if err != nil {
		return s.fatal(err)
	}
	k.public, k.source, k.origin = cert.PublicKey, "attestation", "generated"
	k.pin, k.touch = attestedPolicies(cert)
	return nil
}

// certified reads the certificate of the slot, which may be that of an older key.
func (s *session) certified(slot piv.Slot, k *slotKey) error {
	cert, err := s.yk.Certificate(slot)
	if dead := s.fatal(err); dead != nil {
		return dead
	}
	switch {
	case err == nil:
		k.certificate = cert
	case !errors.Is(err, piv.ErrNotFound):
		k.certificateProblem = err
	}
	return nil
}

func attestedPolicies(cert *x509.Certificate) (piv.PINPolicy, piv.TouchPolicy) {
	a, err := readAttestation(cert)
	if err != nil {
		return 0, 0
	}
	return pinPolicyOf(a.PINPolicy), touchPolicyOf(a.TouchPolicy)
}

func originName(o piv.Origin) string {
	switch o {
	case piv.OriginGenerated:
		return "generated"
	case piv.OriginImported:
		return "imported"
	}
	return ""
}

// pinPolicyOf translates a name; 0 for one that is unknown.
func pinPolicyOf(name string) piv.PINPolicy {
	for p := piv.PINPolicyNever; p <= piv.PINPolicyMatchAlways; p++ {
		if pinPolicyName(byte(p)) == name {
			return p
		}
	}
	return 0
}

func touchPolicyOf(name string) piv.TouchPolicy {
	for p := piv.TouchPolicyNever; p <= piv.TouchPolicyCached; p++ {
		if touchPolicyName(byte(p)) == name {
			return p
		}
	}
	return 0
}

// policyNames gives both policies as words, "" where unknown. piv-go numbers them
// as the card does.
func policyNames(k slotKey) (pin, touch string) {
	if k.pin != 0 {
		pin = pinPolicyName(byte(k.pin))
	}
	if k.touch != 0 {
		touch = touchPolicyName(byte(k.touch))
	}
	return pin, touch
}
