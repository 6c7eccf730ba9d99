//go:build cgo

package pkcs11

import (
	p11 "github.com/miekg/pkcs11"

	"github.com/fleet-hsm/fleet-hsm/signer"
)

// mechanism is how the token makes the pair.
func (p keySpec) mechanism() *p11.Mechanism {
	switch {
	case p.algorithm.RSABits() > 0:
		return p11.NewMechanism(p11.CKM_RSA_PKCS_KEY_PAIR_GEN, nil)
	case p.algorithm == signer.Ed25519:
		return p11.NewMechanism(ckmECEdwardsKeyPairGen, nil)
	}
	return p11.NewMechanism(p11.CKM_EC_KEY_PAIR_GEN, nil)
}

// params are the attributes that say what kind of key, in the forms that modules
// take, the standard one first.
func (p keySpec) params() [][]*p11.Attribute {
	if bits := p.algorithm.RSABits(); bits > 0 {
		return [][]*p11.Attribute{{
			p11.NewAttribute(p11.CKA_MODULUS_BITS, bits),
			p11.NewAttribute(p11.CKA_PUBLIC_EXPONENT, []byte{1, 0, 1}),
		}}
	}
	forms := [][]byte{oidP256, explicitP256(), nameP256}
	if p.algorithm == signer.Ed25519 {
		forms = [][]byte{nameEd25519, oidEd25519, oidEd25519Old}
	}
	var all [][]*p11.Attribute
	for _, f := range forms {
		all = append(all, []*p11.Attribute{p11.NewAttribute(p11.CKA_EC_PARAMS, f)})
	}
	return all
}

func (p keySpec) keyType() uint {
	switch {
	case p.algorithm.RSABits() > 0:
		return p11.CKK_RSA
	case p.algorithm == signer.Ed25519:
		return ckkECEdwards
	}
	return p11.CKK_EC
}

// named are the attributes that both halves share.
func (p keySpec) named(class uint) []*p11.Attribute {
	return []*p11.Attribute{
		p11.NewAttribute(p11.CKA_CLASS, class),
		p11.NewAttribute(p11.CKA_KEY_TYPE, p.keyType()),
		p11.NewAttribute(p11.CKA_TOKEN, true),
		p11.NewAttribute(p11.CKA_ID, p.id),
		p11.NewAttribute(p11.CKA_LABEL, p.label),
	}
}

// privateTemplates starts with every protection. The later ones leave out what some
// modules do not know; what stays in all of them is that the key lives in the token, is
// private, sensitive and cannot be taken out. Whatever template was taken, the key is
// read back and what is missing is reported.
func (p keySpec) privateTemplates() [][]*p11.Attribute {
	least := append(p.named(p11.CKO_PRIVATE_KEY),
		p11.NewAttribute(p11.CKA_PRIVATE, true),
		p11.NewAttribute(p11.CKA_SENSITIVE, true),
		p11.NewAttribute(p11.CKA_EXTRACTABLE, false),
		p11.NewAttribute(p11.CKA_SIGN, true),
	)
	signOnly := append(least[:len(least):len(least)],
		p11.NewAttribute(p11.CKA_DECRYPT, false),
		p11.NewAttribute(p11.CKA_UNWRAP, false),
		p11.NewAttribute(p11.CKA_SIGN_RECOVER, false),
		p11.NewAttribute(p11.CKA_DERIVE, false),
	)
	fixed := append(signOnly[:len(signOnly):len(signOnly)], p11.NewAttribute(p11.CKA_MODIFIABLE, false))
	full := append(fixed[:len(fixed):len(fixed)], p11.NewAttribute(p11.CKA_COPYABLE, false))
	return [][]*p11.Attribute{full, fixed, signOnly, least}
}

func (p keySpec) publicTemplates(params []*p11.Attribute) [][]*p11.Attribute {
	least := append(append(p.named(p11.CKO_PUBLIC_KEY), params...), p11.NewAttribute(p11.CKA_VERIFY, true))
	full := append(least[:len(least):len(least)],
		p11.NewAttribute(p11.CKA_PRIVATE, false), // to be seen without a login
		p11.NewAttribute(p11.CKA_ENCRYPT, false),
		p11.NewAttribute(p11.CKA_WRAP, false),
	)
	return [][]*p11.Attribute{full, least}
}
