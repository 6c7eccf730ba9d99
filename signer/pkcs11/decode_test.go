package pkcs11

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"math/big"
	"os/exec"
	"strings"
	"testing"
)

func unhexed(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func newP256(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestDecodeP256(t *testing.T) {
	key := newP256(t)
	raw, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	short := elliptic.MarshalCompressed(elliptic.P256(), key.X, key.Y)
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	for name, point := range map[string][]byte{
		"octet string": append([]byte{0x04, 0x41}, raw...), "bare": raw,
		"no header": raw[1:], "bit string": append([]byte{0x03, 0x42, 0x00}, raw...),
		"compressed": short, "compressed in an octet string": append([]byte{0x04, 0x21}, short...),
		"long length": append([]byte{0x04, 0x81, 0x41}, raw...), "longer length": append([]byte{0x04, 0x82, 0x00, 0x41}, raw...),
		"octet string in one": append([]byte{0x04, 0x43, 0x04, 0x41}, raw...), "SubjectPublicKeyInfo": spki,
		"the same in an octet string": append([]byte{0x04, byte(len(spki))}, spki...),
	} {
		if pub, err := decodeP256(point); err != nil || !pub.Equal(&key.PublicKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
	off := bytes.Clone(raw)
	off[64] ^= 1
	for name, point := range map[string][]byte{
		"empty": nil, "short": raw[:64:64][:63], "off the curve": off,
		"compressed, cut":   elliptic.MarshalCompressed(elliptic.P256(), key.X, key.Y)[:32],
		"another DER tag":   append([]byte{0x05, 0x41}, raw...),
		"a byte too many":   append(bytes.Clone(raw), 0),
		"at infinity":       {0},
		"P-384 in an octet": append([]byte{0x04, 0x61, 0x04}, make([]byte, 96)...),
	} {
		if _, err := decodeP256(point); !errors.Is(err, errDecode) {
			t.Errorf("%s: error is %v, want a refusal", name, err)
		}
	}
}

// A bare point whose coordinate begins like DER must not be taken for DER: the length
// decides.
func TestDecodeP256ThatLooksLikeDER(t *testing.T) {
	for range 2000 {
		key := newP256(t)
		raw, _ := key.PublicKey.Bytes()
		if raw[1] != 0x3f && raw[1] != 0x41 {
			continue
		}
		if pub, err := decodeP256(raw); err != nil || !pub.Equal(&key.PublicKey) {
			t.Fatalf("%x: %v", raw, err)
		}
		return
	}
}

func TestDecodeEd25519(t *testing.T) {
	pub, _, _ := ed25519.GenerateKey(rand.Reader)
	spki, _ := x509.MarshalPKIXPublicKey(pub)
	for name, point := range map[string][]byte{
		"bare": pub, "octet string": append([]byte{0x04, 0x20}, pub...), "bit string": append([]byte{0x03, 0x21, 0x00}, pub...),
		"long length": append([]byte{0x04, 0x81, 0x20}, pub...), "SubjectPublicKeyInfo": spki,
		"octet string in one": append([]byte{0x04, 0x22, 0x04, 0x20}, pub...),
	} {
		if got, err := decodeEd25519(point); err != nil || !got.Equal(pub) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, n := range []int{0, 31, 33, 34, 35, 36, 57} {
		if _, err := decodeEd25519(make([]byte, n)); n != 32 && !errors.Is(err, errDecode) {
			t.Errorf("%d zeros: error is %v, want a refusal", n, err)
		}
	}
}

func TestDecodeCurve(t *testing.T) {
	explicit, err := exec.Command("openssl", "ecparam", "-name", "prime256v1", "-param_enc", "explicit", "-outform", "DER").Output()
	if err != nil {
		t.Fatal(err)
	}
	compressed, err := exec.Command("openssl", "ecparam", "-name", "prime256v1", "-param_enc", "explicit", "-conv_form", "compressed", "-outform", "DER").Output()
	if err != nil {
		t.Fatal(err)
	}
	other, err := exec.Command("openssl", "ecparam", "-name", "secp256k1", "-param_enc", "explicit", "-outform", "DER").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		params []byte
		want   curve
		called string
	}{
		{"P-256 by OID", oidP256, curveP256, "P-256"},
		{"P-256 written out", explicit, curveP256, "P-256"},
		{"P-256 written out, base compressed", compressed, curveP256, "P-256"},
		{"Ed25519 by OID", oidEd25519, curveEd25519, "Ed25519"},
		{"Ed25519 by Luna's OID", oidEd25519Old, curveEd25519, "Ed25519"},
		{"Ed25519 by name", nameEd25519, curveEd25519, "Ed25519"},
		{"P-384", unhexed(t, "06052b81040022"), curveOther, "P-384"},
		{"P-521", unhexed(t, "06052b81040023"), curveOther, "P-521"},
		{"secp256k1", unhexed(t, "06052b8104000a"), curveOther, "secp256k1"},
		{"Ed448", unhexed(t, "06032b6571"), curveOther, "curve 1.3.101.113"},
		{"another curve written out", other, curveOther, "an unknown curve"},
		{"P-256 by OID, long length", unhexed(t, "0681082a8648ce3d030107"), curveP256, "P-256"},
		{"P-256 by OID, in an octet string", append([]byte{0x04, 0x0a}, oidP256...), curveP256, "P-256"},
		{"P-256 by name", []byte("\x13\x0aprime256v1"), curveP256, "P-256"},
		{"P-256 by another name, bare", []byte("secp256r1"), curveP256, "P-256"},
		{"P-256 by a third name, as UTF-8", []byte("\x0c\x05P-256"), curveP256, "P-256"},
		{"Ed25519 by another name", []byte("\x13\x07Ed25519"), curveEd25519, "Ed25519"},
		{"P-384 by name", []byte("\x13\x09secp384r1"), curveOther, "P-384"},
		{"a name of the maker's", []byte("\x13\x05curvy"), curveUnknown, "an unknown curve"},
		{"nothing", nil, curveUnknown, "an unknown curve"},
	} {
		if got, called := decodeCurve(tt.params); got != tt.want || called != tt.called {
			t.Errorf("%s: %v %q, want %v %q", tt.name, got, called, tt.want, tt.called)
		}
	}
	if !bytes.Equal(explicit, explicitP256()) {
		t.Errorf("parameters written out are %x, OpenSSL has %x", explicitP256(), explicit)
	}
	// One changed byte anywhere makes it another curve (CVE-2020-0601), but for the
	// seed, which no signature depends on, and the cofactor, which may be left out.
	for i := range explicit {
		changed := bytes.Clone(explicit)
		changed[i] ^= 1
		if isExplicitP256(changed) && !inSeedOrVersion(explicit, i) {
			t.Errorf("parameters with byte %d changed still pass for P-256", i)
		}
	}
}

func inSeedOrVersion(explicit []byte, i int) bool {
	seed := bytes.Index(explicit, unhexedSeed())
	return i >= seed-3 && i < seed+len(unhexedSeed()) || i < 8 || i == len(explicit)-3
}

// unhexedSeed is the seed of P-256 (FIPS 186-4, D.1.2.3).
func unhexedSeed() []byte {
	b, _ := hex.DecodeString("c49d360886e704936a6678e1139d26b7819f7e90")
	return b
}

func TestDecodeRSA(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	n, e := key.N.Bytes(), []byte{1, 0, 1}
	for _, pad := range []int{0, 1, 4} {
		pub, err := decodeRSA(append(make([]byte, pad), n...), append(make([]byte, pad), e...))
		if err != nil || !pub.Equal(&key.PublicKey) {
			t.Errorf("with %d leading zeros: %v", pad, err)
		}
	}
	for name, c := range map[string][2][]byte{
		"no modulus": {nil, e}, "no exponent": {n, nil}, "even modulus": {append(n[:255:255], 2), e},
		"exponent 1": {n, {1}}, "even exponent": {n, {4}}, "huge exponent": {n, bytes.Repeat([]byte{0xff}, 8)},
	} {
		if _, err := decodeRSA(c[0], c[1]); !errors.Is(err, errDecode) {
			t.Errorf("%s: error is %v, want a refusal", name, err)
		}
	}
}

func TestEncodeECDSA(t *testing.T) {
	key := newP256(t)
	digest := sha256.Sum256([]byte("a message"))
	for range 600 { // enough for leading zeros and for high bits
		r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
		if err != nil {
			t.Fatal(err)
		}
		rs := append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
		want, _ := asn1.Marshal(struct{ R, S *big.Int }{r, s})
		if forms := wireForms(key.Public(), rs); len(forms) == 0 || !bytes.Equal(forms[0], want) {
			t.Fatalf("%x, want %x", forms, want)
		}
	}
	for _, n := range []int{0, 1, 67, 96} {
		if forms := wireForms(key.Public(), bytes.Repeat([]byte{1}, n)); len(forms) > 0 {
			t.Errorf("%d bytes: %x", n, forms)
		}
	}
	if forms := wireForms(key.Public(), make([]byte, 64)); len(forms) > 0 {
		t.Error("zeros became a signature")
	}
}

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"fleet   ": "fleet", "fleet\x00\x00\x00": "fleet", "two words  ": "two words", "": "", "   ": "", "a\x00b": "a",
	} {
		if got := clean(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestEveryCodeHasWords(t *testing.T) {
	seen := map[string]uint{}
	for code := uint(0); code < 0x300; code++ {
		e := &CKRError{Code: code, Func: "C_Sign"}
		if e.Name() == "an unknown code" {
			continue
		}
		if !strings.HasPrefix(e.Name(), "CKR_") || len(e.Meaning()) < 8 {
			t.Errorf("0x%x is %q: %q", code, e.Name(), e.Meaning())
		}
		if strings.ToLower(e.Meaning()[:1]) != e.Meaning()[:1] && !strings.HasPrefix(e.Meaning(), "PIN") {
			t.Errorf("%s begins with a capital: %q", e.Name(), e.Meaning())
		}
		if first, dup := seen[e.Name()]; dup {
			t.Errorf("0x%x and 0x%x are both %s", first, code, e.Name())
		}
		seen[e.Name()] = code
	}
	if len(seen) < 55 {
		t.Errorf("only %d codes have words", len(seen))
	}
	for _, code := range []uint{ckrPINIncorrect, ckrPINInvalid, ckrPINLenRange, ckrPINExpired, ckrPINLocked} {
		if meaningOf(code).transient {
			t.Errorf("%s would be tried again", meaningOf(code).name)
		}
	}
	vendor := &CKRError{Code: 0x80000042, Func: "C_Login"}
	if !strings.Contains(vendor.Error(), "0x80000042") || !strings.Contains(vendor.Error(), "C_Login") {
		t.Errorf("a maker's own code reads %q", vendor)
	}
}
