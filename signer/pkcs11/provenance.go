//go:build cgo

package pkcs11

import (
	"fmt"

	p11 "github.com/miekg/pkcs11"

	"github.com/fleet-hsm/fleet-hsm/signer"
)

// provenance is what a token says of a key's past and protection. It is a claim of
// the module, not a proof: some modules answer what is expected, some let it be
// changed. nil is "not known".
type provenance struct {
	local, neverExtractable, alwaysSensitive, sensitive, extractable, alwaysAuth *bool
	modifiable, copyable, decrypt, unwrap, derive                                *bool
	mechanism                                                                    string
}

func (l lib) provenance(s p11.SessionHandle, o p11.ObjectHandle) (provenance, error) {
	var r provenance
	for _, a := range []struct {
		typ  uint
		into **bool
	}{
		{p11.CKA_LOCAL, &r.local}, {p11.CKA_NEVER_EXTRACTABLE, &r.neverExtractable},
		{p11.CKA_ALWAYS_SENSITIVE, &r.alwaysSensitive}, {p11.CKA_SENSITIVE, &r.sensitive},
		{p11.CKA_EXTRACTABLE, &r.extractable}, {p11.CKA_ALWAYS_AUTHENTICATE, &r.alwaysAuth},
		{p11.CKA_MODIFIABLE, &r.modifiable}, {p11.CKA_COPYABLE, &r.copyable},
		{p11.CKA_DECRYPT, &r.decrypt}, {p11.CKA_UNWRAP, &r.unwrap}, {p11.CKA_DERIVE, &r.derive},
	} {
		v, err := l.attribute(s, o, a.typ)
		if err != nil {
			return r, err
		}
		*a.into = decodeBool(v)
	}
	v, err := l.attribute(s, o, p11.CKA_KEY_GEN_MECHANISM)
	r.mechanism = mechanismName(v)
	return r, err
}

// mechanismName names a key generation mechanism; "" where the token gives none.
func mechanismName(v []byte) string {
	n, ok := decodeULong(v)
	switch {
	case !ok || unavailable(v):
		return ""
	case n == p11.CKM_EC_KEY_PAIR_GEN:
		return "CKM_EC_KEY_PAIR_GEN"
	case n == ckmECEdwardsKeyPairGen:
		return "CKM_EC_EDWARDS_KEY_PAIR_GEN"
	case n == p11.CKM_RSA_PKCS_KEY_PAIR_GEN:
		return "CKM_RSA_PKCS_KEY_PAIR_GEN"
	case n == p11.CKM_RSA_X9_31_KEY_PAIR_GEN:
		return "CKM_RSA_X9_31_KEY_PAIR_GEN"
	}
	return fmt.Sprintf("0x%x", n)
}

func is(b *bool, want bool) bool { return b != nil && *b == want }

// secret refuses a new key that can be taken out of the token, whatever was asked for.
func (r provenance) secret(l lib, s p11.SessionHandle, priv p11.ObjectHandle) error {
	if is(r.extractable, true) {
		return fmt.Errorf("%w: the token made the key extractable (CKA_EXTRACTABLE is 1) although it was asked not to", signer.ErrDevice)
	}
	if is(r.sensitive, true) {
		return nil
	}
	// It may say that it is not sensitive and keep it to itself all the same.
	for _, attr := range []uint{p11.CKA_VALUE, p11.CKA_PRIVATE_EXPONENT} {
		if v, err := l.attribute(s, priv, attr); err == nil && len(v) > 0 {
			clear(v)
			return fmt.Errorf("%w: the token shows the private key in clear", signer.ErrDevice)
		}
	}
	return nil
}

// missing lists the protections that a key lacks by what its token reports.
func (r provenance) missing() []string {
	var w []string
	for _, c := range []struct {
		bad  bool
		text string
	}{
		{is(r.extractable, true), "the key can be taken out of the token (CKA_EXTRACTABLE is 1)"},
		{r.extractable == nil, "the token does not say whether the key can be taken out (CKA_EXTRACTABLE)"},
		{is(r.sensitive, false), "the token does not call the key sensitive (CKA_SENSITIVE is 0)"},
		{is(r.neverExtractable, false), "the key could be taken out at some time (CKA_NEVER_EXTRACTABLE is 0)"},
		{is(r.local, false), "the token says that the key was not made in it (CKA_LOCAL is 0)"},
		{is(r.modifiable, true), "the key's attributes can be changed (CKA_MODIFIABLE is 1)"},
		{is(r.copyable, true), "the key can be copied within the token (CKA_COPYABLE is 1)"},
		{is(r.decrypt, true) || is(r.unwrap, true) || is(r.derive, true), "the key may be used for more than signing"},
	} {
		if c.bad {
			w = append(w, c.text)
		}
	}
	return w
}
