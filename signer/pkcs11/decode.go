package pkcs11

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"strings"

	"github.com/fleet-hsm/fleet-hsm/signer"
)

// errDecode: an attribute is not in any form that is known for it.
var errDecode = errors.New("attribute not understood")

// curve is what CKA_EC_PARAMS names.
type curve int

const (
	curveOther   curve = iota // another one, for certain
	curveUnknown              // not said in a form that is known here
	curveP256
	curveEd25519
)

// DER of the names that modules give curves.
var (
	oidP256       = []byte{0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07}
	nameP256      = []byte("\x13\x0aprime256v1")                                             // PrintableString (PKCS#11 v3.0)
	oidEd25519    = []byte{0x06, 0x03, 0x2b, 0x65, 0x70}                                     // 1.3.101.112 (RFC 8410)
	oidEd25519Old = []byte{0x06, 0x0a, 0x2b, 0x06, 0x01, 0x04, 0x01, 0xda, 0x47, 0x0f, 0x01} // 1.3.6.1.4.1.11591.15.1
	nameEd25519   = []byte("\x13\x0cedwards25519")                                           // PrintableString (PKCS#11 v3.0)
)

// decodeCurve reads CKA_EC_PARAMS: an OID, a name, or the curve's parameters written
// out (ykcs11). name describes a curve that is not used here.
func decodeCurve(params []byte) (c curve, name string) {
	for _, b := range unwrapped(params) {
		if der := minimal(b); der != nil {
			b = der
		}
		switch {
		case bytes.Equal(b, oidP256), isExplicitP256(b):
			return curveP256, "P-256"
		case bytes.Equal(b, oidEd25519), bytes.Equal(b, oidEd25519Old):
			return curveEd25519, "Ed25519"
		}
		if c, name := curveByName(b); c != curveUnknown {
			return c, name
		}
		if c, name := otherCurve(b); c != curveUnknown {
			return c, name
		}
	}
	return curveUnknown, "an unknown curve"
}

// curveByName reads a name, in a string of some kind or bare.
func curveByName(b []byte) (curve, string) {
	tag, content, rest, ok := element(b)
	if ok && len(rest) == 0 && (tag == 0x0c || tag == 0x13 || tag == 0x16 || tag == 0x1a) { // UTF8, Printable, IA5, Visible
		b = content
	}
	switch name := strings.ToLower(string(bytes.TrimRight(b, "\x00 "))); name {
	case "p-256", "p256", "prime256v1", "secp256r1", "nist p-256", "nistp256", "ansix9p256r1":
		return curveP256, "P-256"
	case "edwards25519", "ed25519":
		return curveEd25519, "Ed25519"
	case "p-384", "secp384r1", "nistp384":
		return curveOther, "P-384"
	case "p-521", "secp521r1", "nistp521":
		return curveOther, "P-521"
	case "secp256k1", "edwards448", "ed448", "curve25519", "curve448":
		return curveOther, name
	}
	return curveUnknown, ""
}

// otherCurve names a curve that is said in a form that leaves no doubt.
func otherCurve(b []byte) (curve, string) {
	var oid asn1.ObjectIdentifier
	if rest, err := asn1.Unmarshal(b, &oid); err == nil && len(rest) == 0 {
		switch s := oid.String(); s {
		case "1.3.132.0.34":
			return curveOther, "P-384"
		case "1.3.132.0.35":
			return curveOther, "P-521"
		case "1.3.132.0.10":
			return curveOther, "secp256k1"
		default:
			return curveOther, "curve " + s
		}
	}
	var e ecParameters
	if rest, err := asn1.Unmarshal(b, &e); err == nil && len(rest) == 0 {
		return curveOther, "an unknown curve"
	}
	return curveUnknown, ""
}

// ecParameters is SpecifiedECDomain (SEC 1, appendix C.2), as far as it is compared.
type ecParameters struct {
	Version int
	FieldID struct {
		Type  asn1.ObjectIdentifier
		Prime *big.Int
	}
	Curve struct {
		A, B []byte
		Seed asn1.BitString `asn1:"optional"`
	}
	Base     []byte
	Order    *big.Int
	Cofactor *big.Int `asn1:"optional"`
}

// explicitP256 writes P-256's parameters out, as OpenSSL does.
func explicitP256() []byte {
	p := elliptic.P256().Params()
	var e ecParameters
	e.Version = 1
	e.FieldID.Type, e.FieldID.Prime = asn1.ObjectIdentifier{1, 2, 840, 10045, 1, 1}, p.P
	e.Curve.A = new(big.Int).Sub(p.P, big.NewInt(3)).FillBytes(make([]byte, p256Order))
	e.Curve.B = p.B.FillBytes(make([]byte, p256Order))
	// The seed from which b was made (FIPS 186-4, D.1.2.3); no signature depends on it.
	e.Curve.Seed = asn1.BitString{Bytes: []byte("\xc4\x9d\x36\x08\x86\xe7\x04\x93\x6a\x66\x78\xe1\x13\x9d\x26\xb7\x81\x9f\x7e\x90"), BitLength: 160}
	e.Base = append(append([]byte{4}, p.Gx.FillBytes(make([]byte, p256Order))...), p.Gy.FillBytes(make([]byte, p256Order))...)
	e.Order, e.Cofactor = p.N, big.NewInt(1)
	der, _ := asn1.Marshal(e) // numbers that are known to fit
	return der
}

// isExplicitP256 compares every number of written-out parameters with P-256: a curve
// that differs in one of them is another curve (CVE-2020-0601).
func isExplicitP256(params []byte) bool {
	var e ecParameters
	if rest, err := asn1.Unmarshal(params, &e); err != nil || len(rest) != 0 {
		return false
	}
	p := elliptic.P256().Params()
	a := new(big.Int).Sub(p.P, big.NewInt(3))
	x, y := p.Gx.FillBytes(make([]byte, 32)), p.Gy.FillBytes(make([]byte, 32))
	uncompressed := append(append([]byte{4}, x...), y...)
	compressed := append([]byte{2 + y[31]&1}, x...)
	return e.FieldID.Type.Equal(asn1.ObjectIdentifier{1, 2, 840, 10045, 1, 1}) &&
		e.FieldID.Prime.Cmp(p.P) == 0 && e.Order.Cmp(p.N) == 0 &&
		new(big.Int).SetBytes(e.Curve.A).Cmp(a) == 0 && new(big.Int).SetBytes(e.Curve.B).Cmp(p.B) == 0 &&
		(bytes.Equal(e.Base, uncompressed) || bytes.Equal(e.Base, compressed)) &&
		(e.Cofactor == nil || e.Cofactor.Cmp(big.NewInt(1)) == 0)
}

// decodeEC reads a key on a curve; edwards says that its CKA_KEY_TYPE is CKK_EC_EDWARDS.
// Where CKA_EC_PARAMS does not tell, the point must. Another curve is
// *signer.UnsupportedError.
func decodeEC(edwards bool, params, point []byte) (crypto.PublicKey, error) {
	c, name := decodeCurve(params)
	switch {
	case c == curveEd25519, edwards && c == curveUnknown:
		return keyOrError(decodeEd25519(point))
	case c == curveP256, c == curveUnknown:
		return keyOrError(decodeP256(point))
	}
	return nil, &signer.UnsupportedError{What: "a key on " + name, Why: "agents accept P-256, Ed25519 and RSA"}
}

// keyOrError keeps a nil pointer from becoming a key that is not nil.
func keyOrError[K crypto.PublicKey](k K, err error) (crypto.PublicKey, error) {
	if err != nil {
		return nil, err
	}
	return k, nil
}

// decodeP256 reads CKA_EC_POINT of a P-256 key: the point with or without its first
// byte, or compressed, bare or in strings, or a whole SubjectPublicKeyInfo. Bare ones
// come first: trying DER first takes some of them for DER.
func decodeP256(point []byte) (*ecdsa.PublicKey, error) {
	for _, b := range unwrapped(point) {
		if pub := p256Point(b); pub != nil {
			return pub, nil
		}
		if pub, ok := fromSPKI(b).(*ecdsa.PublicKey); ok && pub.Curve == elliptic.P256() {
			return pub, nil
		}
	}
	return nil, fmt.Errorf("%w: CKA_EC_POINT of %d bytes is not a point on P-256", errDecode, len(point))
}

func p256Point(b []byte) *ecdsa.PublicKey {
	if len(b) == 64 {
		b = append([]byte{4}, b...)
	}
	if len(b) == 33 {
		x, y := elliptic.UnmarshalCompressed(elliptic.P256(), b)
		if x == nil {
			return nil
		}
		b = append(append([]byte{4}, b[1:]...), y.FillBytes(make([]byte, p256Order))...)
	}
	if len(b) != 65 {
		return nil
	}
	pub, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), b)
	if err != nil {
		return nil
	}
	return pub
}

// fromSPKI reads a SubjectPublicKeyInfo; nil if it is none.
func fromSPKI(b []byte) crypto.PublicKey {
	if der := minimal(b); der != nil {
		if pub, err := x509.ParsePKIXPublicKey(der); err == nil {
			return pub
		}
	}
	return nil
}

// decodeEd25519 reads CKA_EC_POINT of an Ed25519 key: 32 bytes, bare or in strings, or a
// whole SubjectPublicKeyInfo.
func decodeEd25519(point []byte) (ed25519.PublicKey, error) {
	for _, b := range unwrapped(point) {
		if len(b) == ed25519.PublicKeySize {
			return ed25519.PublicKey(bytes.Clone(b)), nil
		}
		if pub, ok := fromSPKI(b).(ed25519.PublicKey); ok {
			return pub, nil
		}
	}
	return nil, fmt.Errorf("%w: CKA_EC_POINT of %d bytes is not an Ed25519 key", errDecode, len(point))
}

// decodeRSA reads CKA_MODULUS and CKA_PUBLIC_EXPONENT, big-endian, perhaps with
// leading zeros.
func decodeRSA(modulus, exponent []byte) (*rsa.PublicKey, error) {
	n, e := new(big.Int).SetBytes(modulus), new(big.Int).SetBytes(exponent)
	if n.BitLen() < 512 || n.BitLen() > 16384 || n.Bit(0) == 0 {
		return nil, fmt.Errorf("%w: CKA_MODULUS of %d bits", errDecode, n.BitLen())
	}
	if e.BitLen() > 31 || e.Bit(0) == 0 || e.Int64() < 3 {
		return nil, fmt.Errorf("%w: CKA_PUBLIC_EXPONENT of %d bits", errDecode, e.BitLen())
	}
	return &rsa.PublicKey{N: n, E: int(e.Int64())}, nil
}

// encodeECDSA writes r and s, big-endian, positive, of at most 32 bytes and without
// leading zeros, as the ASN.1 DER that TUF clients read (RFC 3279, section 2.2.3).
func encodeECDSA(r, s []byte) []byte {
	// At most 2 + 2 x (2 + 33) bytes, so every length fits into one byte.
	body := appendInteger(appendInteger(make([]byte, 2, 72), r), s)
	body[0], body[1] = tagSequence, byte(len(body)-2)
	return body
}

// appendInteger appends a DER INTEGER; v is big-endian, positive, at most 32 bytes and
// without leading zeros.
func appendInteger(der, v []byte) []byte {
	if v[0]&0x80 != 0 {
		der = append(der, 0x02, byte(len(v)+1), 0)
	} else {
		der = append(der, 0x02, byte(len(v)))
	}
	return append(der, v...)
}

// decodeBool reads a CK_BBOOL; nil where the token says nothing.
func decodeBool(v []byte) *bool {
	if len(v) != 1 {
		return nil
	}
	b := v[0] != 0
	return &b
}

// decodeULong reads a CK_ULONG in the machine's byte order, which is little-endian on
// every platform this builds for. Lengths other than 4 and 8 are not understood.
func decodeULong(v []byte) (uint64, bool) {
	if len(v) != 4 && len(v) != 8 {
		return 0, false
	}
	var n uint64
	for i := len(v) - 1; i >= 0; i-- {
		n = n<<8 | uint64(v[i])
	}
	return n, true
}

// unavailable reports CK_UNAVAILABLE_INFORMATION, all ones.
func unavailable(v []byte) bool {
	return len(v) > 0 && len(bytes.Trim(v, "\xff")) == 0
}

// clean takes the padding off a fixed-length text field: blanks by the standard, NULs
// by some modules.
func clean(s string) string {
	if i := bytes.IndexByte([]byte(s), 0); i >= 0 {
		s = s[:i]
	}
	return string(bytes.TrimRight([]byte(s), " "))
}
