//go:build cgo

package pkcs11

import (
	"errors"
	"fmt"
	"strings"

	p11 "github.com/miekg/pkcs11"

	"github.com/fleet-hsm/fleet-hsm/signer"
)

// templates is one way to ask for a key pair.
type templates struct {
	public, private []*p11.Attribute
	dropped         uint // an attribute that is usually there; 0 for none
}

// pair asks for the key pair with the full template, then with fewer protections of
// the optional kind, then, where the token refuses an attribute, without one of those
// that it may have a mind of its own about. Whatever was taken, the key is read back.
func (p keySpec) pair(l lib, s p11.SessionHandle) (pub, priv p11.ObjectHandle, dropped uint, err error) {
	for _, t := range p.standardTemplates() {
		if pub, priv, err = p.ask(l, s, t); err == nil || !refusesAttribute(err) {
			return pub, priv, 0, err
		}
	}
	for _, t := range p.droppingTemplates() {
		if !aboutAttribute(err) {
			break
		}
		var again error
		if pub, priv, again = p.ask(l, s, t); again == nil {
			return pub, priv, t.dropped, nil
		}
		if !refusesAttribute(again) {
			return 0, 0, 0, again
		}
	}
	return 0, 0, 0, err
}

// ask makes one attempt. A module that made something and failed all the same is not
// asked again.
func (p keySpec) ask(l lib, s p11.SessionHandle, t templates) (pub, priv p11.ObjectHandle, err error) {
	pub, priv, err = l.generate(s, p.mechanism(), t.public, t.private)
	if err != nil && refusesAttribute(err) {
		if left := p.freeOn(l, s); left != nil {
			return 0, 0, permanentError{errors.Join(err, left)}
		}
	}
	return pub, priv, err
}

func (p keySpec) standardTemplates() []templates {
	var all []templates
	for _, params := range p.params() {
		for _, private := range p.privateTemplates() {
			for _, public := range p.publicTemplates(params) {
				all = append(all, templates{public: public, private: private})
			}
		}
	}
	return all
}

// droppingTemplates leave one attribute out of the least ones.
func (p keySpec) droppingTemplates() []templates {
	var all []templates
	private := p.privateTemplates()
	least := private[len(private)-1]
	for _, params := range p.params() {
		public := p.publicTemplates(params)
		for _, a := range []uint{
			p11.CKA_ID, p11.CKA_LABEL, p11.CKA_CLASS, p11.CKA_KEY_TYPE, p11.CKA_SIGN, p11.CKA_VERIFY,
			p11.CKA_PRIVATE, p11.CKA_SENSITIVE, p11.CKA_EXTRACTABLE,
		} {
			all = append(all, templates{without(public[len(public)-1], a), without(least, a), a})
		}
	}
	return all
}

func without(template []*p11.Attribute, typ uint) []*p11.Attribute {
	var out []*p11.Attribute
	for _, a := range template {
		if a.Type != typ {
			out = append(out, a)
		}
	}
	return out
}

// aboutAttribute: the answer says that the template is not as the token wants it.
func aboutAttribute(err error) bool {
	switch codeOf(err) {
	case ckrAttributeTypeInvalid, ckrAttributeValueInvalid, ckrAttributeReadOnly, ckrTemplateInconsistent:
		return true
	}
	return false
}

// refusesAttribute: other attributes may do.
func refusesAttribute(err error) bool {
	switch codeOf(err) {
	case ckrTemplateIncomplete, ckrDomainParamsInvalid, ckrCurveNotSupported,
		ckrArgumentsBad, ckrGeneralError, ckrFunctionFailed: // NSS fails so for an attribute it does not know
		return true
	}
	return aboutAttribute(err)
}

// explain says what the token wants instead, as far as its answer tells.
func (p keySpec) explain(err error) error {
	e := &signer.GenerateError{Algorithm: p.algorithm, Err: err}
	switch code := codeOf(err); {
	case errors.Is(err, signer.ErrKeyExists):
		return err
	case code == ckrMechanismInvalid, code == ckrMechanismParamInvalid, code == ckrFunctionNotSupported:
		e.Wants = fmt.Sprintf("it has no mechanism for them (%s)", p.mechanismName())
	case code == ckrKeySizeRange:
		e.Wants = fmt.Sprintf("it takes no key of %d bits (CKA_MODULUS_BITS)", p.algorithm.RSABits())
	case code == ckrCurveNotSupported, code == ckrDomainParamsInvalid:
		e.Wants = "it takes the curve in no form that is known here (CKA_EC_PARAMS as OID, name or written out)"
	case code == ckrUserTypeInvalid, code == ckrUserAnotherLoggedIn, code == ckrUserNotLoggedIn:
		e.Wants = "it wants another user to be logged in for that, most often the security officer (SO)"
	case code == ckrTemplateIncomplete:
		e.Wants = "it wants one more attribute, most likely its maker's own, besides " + p.sent()
	case aboutAttribute(err):
		e.Wants = fmt.Sprintf("it refuses CKA_TOKEN = true, %s, or two of the others together (%s)", p.paramsName(), p.sent())
	default:
		return err
	}
	return e
}

func (p keySpec) mechanismName() string {
	switch {
	case p.algorithm.RSABits() > 0:
		return "CKM_RSA_PKCS_KEY_PAIR_GEN"
	case p.algorithm == signer.Ed25519:
		return "CKM_EC_EDWARDS_KEY_PAIR_GEN"
	}
	return "CKM_EC_KEY_PAIR_GEN"
}

func (p keySpec) paramsName() string {
	if p.algorithm.RSABits() > 0 {
		return "CKA_MODULUS_BITS, CKA_PUBLIC_EXPONENT"
	}
	return "CKA_EC_PARAMS as OID, name and written out"
}

// sent names what stands in the smallest template.
func (p keySpec) sent() string {
	return strings.Join([]string{
		"CKA_CLASS", "CKA_KEY_TYPE", "CKA_TOKEN", "CKA_ID", "CKA_LABEL", "CKA_PRIVATE", "CKA_SENSITIVE", "CKA_EXTRACTABLE",
		"CKA_SIGN", "CKA_VERIFY", p.paramsName(),
	}, ", ")
}
