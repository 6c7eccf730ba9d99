//go:build cgo

package pkcs11_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/hex"
	"os/exec"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/signer"
	"github.com/fleet-hsm/fleet-hsm/signer/signertest"
)

// A report from the field is one line here: what the module does (softhsm/quirks), and
// the key must be found, log in and sign all the same. NAMED sources are files and the
// like; without, a person types the PIN.
func TestQuirks(t *testing.T) {
	hexOf := func(b []byte) string { return hex.EncodeToString(b) }
	ec := func(form func(pub *ecdsa.PublicKey) []byte) func(crypto.PublicKey) string {
		return func(pub crypto.PublicKey) string { return "attr=0x181:" + hexOf(form(pub.(*ecdsa.PublicKey))) }
	}
	ed := func(prefix ...byte) func(crypto.PublicKey) string {
		return func(pub crypto.PublicKey) string {
			return "attr=0x181:" + hexOf(append(prefix, pub.(ed25519.PublicKey)...))
		}
	}
	spki := func(pub crypto.PublicKey) string {
		der, _ := x509.MarshalPKIXPublicKey(pub)
		return "attr=0x181:" + hexOf(der)
	}
	params := func(text string) []string { return []string{"attr=0x180:" + hexOf([]byte(text))} }
	explicit, err := exec.Command("openssl", "ecparam", "-name", "prime256v1", "-param_enc", "explicit", "-outform", "DER").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range []struct {
		name      string
		lines     []string
		point     func(crypto.PublicKey) string // one more line, made of the public key
		algorithm signer.Algorithm
		named     bool
	}{
		// Flags that are missing (libp11#242, #517).
		{name: "no CKF_LOGIN_REQUIRED, PIN named", lines: []string{"flags_off=0x4"}, named: true},
		{name: "no CKF_LOGIN_REQUIRED, private key hidden", lines: []string{"flags_off=0x4"}},
		{name: "no CKF_USER_PIN_INITIALIZED", lines: []string{"flags_off=0x8"}},
		{name: "no CKF_TOKEN_INITIALIZED", lines: []string{"flags_off=0x400"}},
		{name: "no flags at all", lines: []string{"flags_off=0x40c"}, named: true},
		{name: "CKA_SIGN is 0", lines: []string{"attr=0x108:00"}},
		{name: "no CKA_SIGN", lines: []string{"hide_attr=0x108"}},
		{name: "no CKA_KEY_TYPE", lines: []string{"hide_attr=0x100"}},
		{name: "no CKA_KEY_TYPE of RSA", lines: []string{"hide_attr=0x100"}, algorithm: signer.RSA2048},
		// Signatures.
		{name: "DER", lines: []string{"signature=der"}},
		{name: "BER", lines: []string{"signature=ber"}},
		{name: "without leading zeros", lines: []string{"signature=short"}},
		{name: "signed integers side by side", lines: []string{"signature=signed"}},
		{name: "wrapped", lines: []string{"signature=wrapped"}},
		{name: "Ed25519 wrapped", lines: []string{"signature=wrapped"}, algorithm: signer.Ed25519},
		// Points (pkcs11-provider#478, #766).
		{name: "bare point", lines: []string{"raw_points=1"}},
		{name: "bare Ed25519 key", point: ed(), algorithm: signer.Ed25519},
		{name: "Ed25519 key in a bit string", point: ed(0x03, 0x21, 0x00), algorithm: signer.Ed25519},
		{name: "Ed25519 key with a long length", point: ed(0x04, 0x81, 0x20), algorithm: signer.Ed25519},
		{name: "Ed25519 SubjectPublicKeyInfo", point: spki, algorithm: signer.Ed25519},
		{name: "P-256 SubjectPublicKeyInfo", point: spki},
		{name: "compressed point", point: ec(compressed)},
		{name: "compressed point, wrapped", point: ec(func(p *ecdsa.PublicKey) []byte {
			return append([]byte{0x04, 0x21}, compressed(p)...)
		})},
		{name: "long length", point: ec(func(p *ecdsa.PublicKey) []byte {
			return append([]byte{0x04, 0x82, 0x00, 0x41}, plain(p)...)
		})},
		{name: "a point that nobody can read", lines: []string{"attr=0x181:0102"}},
		// Curves.
		{name: "curve by name", lines: params("\x13\x0aprime256v1")},
		{name: "curve by another name", lines: params("P-256")},
		{name: "curve by a name that nobody knows", lines: params("\x13\x05curvy")},
		{name: "curve written out", lines: params(string(explicit))},
		{name: "no curve", lines: []string{"hide_attr=0x180"}},
		{name: "Ed25519 by name", lines: params("\x13\x07Ed25519"), algorithm: signer.Ed25519},
		{name: "Ed25519 by Luna's OID", lines: params("\x06\x0a\x2b\x06\x01\x04\x01\xda\x47\x0f\x01"), algorithm: signer.Ed25519},
	} {
		t.Run(q.name, func(t *testing.T) {
			f := newFake(t)
			made := generate(t, f.Token, "targets", q.algorithm)
			lines := q.lines
			if q.point != nil {
				lines = append(lines, q.point(made.Public[0]))
			}
			f.set(lines...)
			ui := signertest.NewUI(signer.PIN, f.PIN)
			ui.Named = q.named
			s := opened(t, backend(t, f.Module), signer.Ref{URI: parse(t, f.URI("targets")), Pinned: made.Public[0]}, ui)
			for range 5 {
				signs(t, s)
			}
			for _, finding := range backend(t, f.Module).Probe(t.Context(), signer.Ref{URI: parse(t, f.URI("targets")), Pinned: made.Public[0]}) {
				if !finding.OK {
					t.Errorf("doctor calls a token that signs a problem: %s", finding.Text)
				}
			}
		})
	}
}

// plain is a point as 04 X Y (SEC 1, section 2.3.3).
func plain(p *ecdsa.PublicKey) []byte {
	b, err := p.Bytes()
	if err != nil {
		panic(err)
	}
	return b
}

// compressed is a point as 02 X or 03 X.
func compressed(p *ecdsa.PublicKey) []byte {
	b := plain(p)
	return append([]byte{2 + b[len(b)-1]&1}, b[1:1+len(b)/2]...)
}

// A hundred signatures without leading zeros, through the module.
func TestQuirkShortSignatures(t *testing.T) {
	f, ref := keyed(t, "signature=short")
	s := opened(t, backend(t, f.Module), ref, person(f.Token))
	for range 300 {
		signs(t, s)
	}
}

// A token that knows no user, and a source that was named for a PIN all the same.
func TestQuirkNoUser(t *testing.T) {
	f := newFake(t)
	made := generate(t, f.Token, "targets", signer.P256)
	f.set("no_login="+f.PIN, "fail=C_Login 0x102 9")
	ui := signertest.NewUI(signer.PIN, f.PIN)
	ui.Named = true
	signs(t, opened(t, backend(t, f.Module), signer.Ref{URI: parse(t, f.URI("targets")), Pinned: made.Public[0]}, ui))
	if n := f.calls("C_Login"); n != 1 {
		t.Errorf("%d C_Login, want one", n)
	}
}
