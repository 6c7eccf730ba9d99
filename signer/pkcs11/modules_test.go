//go:build cgo

package pkcs11_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/signer"
	"github.com/fleet-hsm/fleet-hsm/signer/pkcs11"
	"github.com/fleet-hsm/fleet-hsm/signer/signertest"
)

// Ways in which modules differ that SoftHSM alone does not show.

func TestModuleWithRawPoints(t *testing.T) {
	for _, a := range []signer.Algorithm{signer.P256, signer.Ed25519} {
		t.Run(string(a), func(t *testing.T) {
			f := newFake(t)
			made := generate(t, f.Token, "targets", a)
			f.set("raw_points=1")
			pub := canSign(t, backend(t, f.Module), signer.Ref{URI: parse(t, f.URI("targets"))}, person(f.Token))
			if !signer.SamePublic(pub, made.Public[0]) {
				t.Error("another public key came out of the raw point")
			}
		})
	}
}

// ykcs11 writes the curve's parameters out instead of naming it.
func TestModuleWithExplicitCurve(t *testing.T) {
	f := newFake(t)
	generate(t, f.Token, "targets", signer.P256)
	f.set("attr=0x180:" + hex.EncodeToString(explicitP256(t)))
	canSign(t, backend(t, f.Module), signer.Ref{URI: parse(t, f.URI("targets"))}, person(f.Token))
}

// explicitP256 asks OpenSSL for the parameters of P-256, written out.
func explicitP256(t testing.TB) []byte {
	t.Helper()
	der, err := exec.Command("openssl", "ecparam", "-name", "prime256v1", "-param_enc", "explicit", "-outform", "DER").Output()
	if err != nil {
		t.Fatalf("openssl: %v", err)
	}
	return der
}

// Another curve is refused by its name, not with a puzzle about points.
func TestModuleWithAnotherCurve(t *testing.T) {
	f := newFake(t)
	tool(t, f.Token, "--login", "--pin", f.PIN, "--keypairgen", "--key-type", "EC:secp384r1", "--label", "targets", "--id", "01")
	ui := person(f.Token)
	_, err := backend(t, f.Module).Open(t.Context(), signer.Ref{URI: parse(t, f.URI("targets"))}, ui)
	if !errors.Is(err, signer.ErrUnsupported) || !strings.Contains(err.Error(), "P-384") {
		t.Fatalf("error is %v, want P-384 refused by name", err)
	}
	if len(ui.Secrets()) != 0 {
		t.Error("asked for a PIN of a key that cannot be used")
	}
}

// Keys of other kinds on the token are none of our business.
func TestModuleWithOtherKeysOnIt(t *testing.T) {
	f, ref := keyed(t)
	tool(t, f.Token, "--login", "--pin", f.PIN, "--keygen", "--key-type", "AES:32", "--label", "targets", "--id", "77")
	b := backend(t, f.Module)
	canSign(t, b, ref, person(f.Token))
	if keys, err := b.Keys(t.Context(), signer.Ref{URI: parse(t, "pkcs11:token=fleet")}, nil); err != nil || len(keys) != 1 {
		t.Errorf("Keys: %v, %v; want the one key", keys, err)
	}
}

func TestModuleWithoutPSSOnDigests(t *testing.T) {
	f := newFake(t)
	generate(t, f.Token, "targets", signer.RSA2048)
	f.set("no_mechanism=0x0d") // CKM_RSA_PKCS_PSS
	s := opened(t, backend(t, f.Module), signer.Ref{URI: parse(t, f.URI("targets"))}, person(f.Token))
	signs(t, s)
	signs(t, s)
	if n := f.calls("C_SignInit"); n != 3 {
		t.Errorf("%d C_SignInit for 2 signatures, want 3: what works is remembered", n)
	}
	f.set("no_mechanism=0x0d", "no_mechanism=0x43")
	fresh := opened(t, backend(t, f.Module), signer.Ref{URI: parse(t, f.URI("targets"))}, person(f.Token))
	err := refuses(t, fresh, signer.ErrUnsupported)
	if !strings.Contains(err.Error(), "CKM_RSA_PKCS_PSS") {
		t.Errorf("the error does not name the mechanism: %v", err)
	}
}

// YubiHSM takes about 2,000 bytes for Ed25519.
func TestModuleWithMessageLimit(t *testing.T) {
	f := newFake(t)
	made := generate(t, f.Token, "targets", signer.Ed25519)
	f.set("data_max=2000")
	signertest.Run(t, signertest.Config{Setup: func(t *testing.T) signertest.Device {
		return signertest.Device{
			Backend: backend(t, f.Module), URI: parse(t, f.URI("targets")), Public: made.Public[0],
			Kind: signer.PIN, Secret: f.PIN, Wrong: "wrong-pin", MaxMessage: 2000,
		}
	}})
}

// The whole suite on a token that locks: it counts every try that reaches the token.
func TestModuleThatCountsTries(t *testing.T) {
	f, ref := keyed(t, "pin_tries=100")
	signertest.Run(t, signertest.Config{Setup: func(t *testing.T) signertest.Device {
		logins := f.calls("C_Login")
		return signertest.Device{
			Backend: backend(t, f.Module), URI: ref.URI, Public: ref.Pinned,
			Kind: signer.PIN, Secret: f.PIN, Wrong: "wrong-pin",
			TriesLeft: func(*testing.T) int { return 100 - (f.calls("C_Login") - logins) },
		}
	}})
}

// A PIN that cannot be right is not offered: openCryptoki counts an overlong one.
func TestModulePINBounds(t *testing.T) {
	f, ref := keyed(t, "max_pin=6")
	ui := signertest.NewUI(signer.PIN, "1234567")
	s := opened(t, backend(t, f.Module), ref, ui)
	refuses(t, s, signer.ErrPINInvalid)
	if f.calls("C_Login") != 0 {
		t.Error("an overlong PIN reached the token")
	}
	if r := ui.Secrets()[0]; r.Min != 4 || r.Max != 6 {
		t.Errorf("the question has the bounds %d to %d, want 4 to 6", r.Min, r.Max)
	}
}

func TestModuleWithNULPadding(t *testing.T) {
	f, ref := keyed(t, "nul_padding=1")
	canSign(t, backend(t, f.Module), ref, person(f.Token))
}

// The public half may be missing: a certificate with the same ID, or the pinned key,
// stands in.
func TestModuleWithoutPublicObject(t *testing.T) {
	t.Run("pinned", func(t *testing.T) {
		f, ref := keyed(t, "hide=2")
		ui := person(f.Token)
		s := opened(t, backend(t, f.Module), ref, ui)
		if len(ui.Secrets()) != 0 {
			t.Error("asked for a PIN although the key is pinned")
		}
		signs(t, s)
	})
	for name, length := range map[string]int{"certificate": 400, "long certificate": 4600} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			pub := importKey(t, f, "targets", "0a0b", length, false)
			f.set("hide=2")
			ui := person(f.Token)
			s := opened(t, backend(t, f.Module), signer.Ref{URI: parse(t, f.URI("targets"))}, ui)
			if len(ui.Secrets()) != 0 || !signer.SamePublic(s.Public(), pub) {
				t.Error("the certificate did not tell the public key")
			}
			signs(t, s)
		})
	}
	t.Run("private object of an RSA key", func(t *testing.T) {
		f := newFake(t)
		made := generate(t, f.Token, "targets", signer.RSA2048)
		f.set("hide=2")
		ui := person(f.Token)
		s := opened(t, backend(t, f.Module), signer.Ref{URI: parse(t, f.URI("targets"))}, ui)
		if len(ui.Secrets()) != 1 || !signer.SamePublic(s.Public(), made.Public[0]) {
			t.Error("the private object did not tell the public key after one login")
		}
		signs(t, s)
	})
	t.Run("no source for the PIN", func(t *testing.T) {
		f := newFake(t)
		generate(t, f.Token, "targets", signer.RSA2048)
		f.set("hide=2")
		_, err := backend(t, f.Module).Open(t.Context(), signer.Ref{URI: parse(t, f.URI("targets"))}, &signertest.UI{})
		if !errors.Is(err, signer.ErrKeyNotFound) {
			t.Errorf("error is %v, want ErrKeyNotFound", err)
		}
	})
	t.Run("nothing tells", func(t *testing.T) {
		f := newFake(t)
		generate(t, f.Token, "targets", signer.P256)
		f.set("hide=2")
		_, err := backend(t, f.Module).Open(t.Context(), signer.Ref{URI: parse(t, f.URI("targets"))}, person(f.Token))
		if err == nil {
			t.Error("opened a key whose public part nobody knows")
		}
	})
}

// The halves of a key may have different labels (ykcs11): the ID joins them, whichever
// label the URI has.
func TestModuleWithLabelsThatDiffer(t *testing.T) {
	f := newFake(t)
	pub := importKey(t, f, "half", "0102", 0, true)
	b := backend(t, f.Module)
	for _, label := range []string{"half privkey", "half pubkey"} {
		got := canSign(t, b, signer.Ref{URI: parse(t, f.URI(label))}, person(f.Token))
		if !signer.SamePublic(got, pub) {
			t.Errorf("%s: another key", label)
		}
	}
}

// A public object that belongs to another private key than its ID says: the signature
// does not verify and is thrown away.
func TestModuleWithStalePublicHalf(t *testing.T) {
	f := newFake(t)
	importKey(t, f, "old", "01", 0, true)
	importKey(t, f, "new", "01", 0, true)
	tool(t, f.Token, "--login", "--pin", f.PIN, "--delete-object", "--type", "privkey", "--label", "old privkey")
	tool(t, f.Token, "--login", "--pin", f.PIN, "--delete-object", "--type", "pubkey", "--label", "new pubkey")
	s := opened(t, backend(t, f.Module), signer.Ref{URI: parse(t, f.URI("old pubkey"))}, person(f.Token))
	refuses(t, s, signer.ErrBadSignature)
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// importKey puts a key that was made outside on a token, with a certificate of some
// length in bytes (0 for none), and with labels of their own for the halves if they are to be apart.
func importKey(t *testing.T, f *fake, label, id string, certificate int, apart bool) any {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name string, der []byte) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, der, 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	private, _ := x509.MarshalPKCS8PrivateKey(key)
	public, _ := x509.MarshalPKIXPublicKey(key.Public())
	for typ, file := range map[string]string{"privkey": write("key", private), "pubkey": write("pub", public)} {
		tool(t, f.Token, "--login", "--pin", f.PIN, "--write-object", file, "--type", typ, "--label", label+strings.Repeat(" "+typ, btoi(apart)), "--id", id, "--usage-sign")
	}
	if certificate > 0 {
		comment := pkix.Extension{Id: asn1.ObjectIdentifier{2, 16, 840, 1, 113730, 1, 13}, Value: make([]byte, max(0, certificate-300))}
		template := &x509.Certificate{
			ExtraExtensions: []pkix.Extension{comment},
			SerialNumber:    big.NewInt(1), Subject: pkix.Name{CommonName: label}, NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0),
		}
		der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		tool(t, f.Token, "--login", "--pin", f.PIN, "--write-object", write("cert", der), "--type", "cert", "--label", label, "--id", id)
	}
	return key.Public()
}

func TestModuleWithInitArguments(t *testing.T) {
	f, ref := keyed(t, "init_args=configdir='x' flags=readOnly")
	b := pkcs11.New(pkcs11.Options{Module: f.Module, Timeout: timeout, InitArgs: "configdir='x' flags=readOnly"})
	defer b.Close()
	canSign(t, b, ref, person(f.Token))
}

// Some modules refuse to tell the length of a signature before they make it.
func TestModuleWithoutLengthQuery(t *testing.T) {
	f, ref := keyed(t, "no_length_query=1")
	s := opened(t, backend(t, f.Module), ref, person(f.Token))
	signs(t, s)
	signs(t, s)
	if n := f.calls("C_Sign"); n != 2 {
		t.Errorf("%d C_Sign for 2 signatures", n)
	}
}

func TestModuleThatWantsRoom(t *testing.T) {
	f, ref := keyed(t, "want_room=5000")
	canSign(t, backend(t, f.Module), ref, person(f.Token))
}

// A module that takes no arguments, or has no locks, is called by one thread at a time.
func TestModuleThatRefusesArguments(t *testing.T) {
	for name, code := range map[string]string{"CKR_ARGUMENTS_BAD": "0x07", "CKR_NEED_TO_CREATE_THREADS": "0x09", "CKR_CANT_LOCK": "0x0a"} {
		t.Run(name, func(t *testing.T) {
			f, ref := keyed(t, "refuse_args="+code, "alone=1")
			s := opened(t, backend(t, f.Module), ref, person(f.Token))
			spread(40, 4, func(int) { must(s.Sign(t.Context(), []byte("a message"))) })
		})
	}
}

// A slot list that is empty until all slots are asked for.
func TestModuleThatHidesItsTokens(t *testing.T) {
	f, ref := keyed(t, "shy_slots=1")
	b := backend(t, f.Module)
	canSign(t, b, ref, person(f.Token))
	tokens, err := b.Tokens(t.Context(), pkcs11.Kind().URI())
	if err != nil || len(tokens) == 0 {
		t.Errorf("Tokens: %v, %v", tokens, err)
	}
}

// Broken modules are refused; the binding alone would crash on them.
func TestModuleThatIsBroken(t *testing.T) {
	for line, want := range map[string]string{
		"no_functions=1": "does not give its functions",
		"no_function=1":  "has no C_GetSessionInfo",
	} {
		f, ref := keyed(t)
		f.set(line)
		_, err := backend(t, f.Module).Open(t.Context(), ref, person(f.Token))
		var m *pkcs11.ModuleError
		if !errors.As(err, &m) || m.Code != "module-load" || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), f.Module) {
			t.Errorf("%s: error is %v, want %q", line, err, want)
		}
	}
}

// A code of the maker's own is given with its number, the key and the token.
func TestModuleWithCodesOfItsOwn(t *testing.T) {
	f, ref := keyed(t)
	s := opened(t, backend(t, f.Module), ref, person(f.Token))
	signs(t, s)
	f.set("fail=C_SignInit 0x80000321 100")
	err := refuses(t, s, signer.ErrDevice)
	for _, want := range []string{"0x80000321", "CKR_VENDOR_DEFINED", "C_SignInit", ref.URI.String(), `token "fleet"`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %q", want, err)
		}
	}
}

// Such a code may say that the connection is gone: a new one is made, a few times.
func TestModuleWithACodeOfItsOwnForALostConnection(t *testing.T) {
	for _, code := range []string{"0x80000321", "0xffffffffffffffff"} {
		t.Run(code, func(t *testing.T) {
			f, ref := keyed(t)
			ui := person(f.Token)
			s := opened(t, backend(t, f.Module), ref, ui)
			signs(t, s)
			f.set("fail=C_SignInit " + code + " 1")
			signs(t, s)
			if n := len(ui.Secrets()); n != 1 {
				t.Errorf("asked %d times for the PIN, want once", n)
			}
		})
	}
}

// Or that the PIN was wrong: one that the token has never taken is not offered again.
func TestModuleWithACodeOfItsOwnForALogin(t *testing.T) {
	for _, code := range []string{"0x80000321", "0xffffffffffffffff"} {
		t.Run(code, func(t *testing.T) {
			f, ref := keyed(t)
			f.set("fail=C_Login " + code + " 100")
			s := opened(t, backend(t, f.Module), ref, person(f.Token))
			for range 3 {
				err := refuses(t, s, signer.ErrPINIncorrect)
				if !strings.Contains(err.Error(), "may have been wrong") || !strings.Contains(err.Error(), code) {
					t.Errorf("error is %v", err)
				}
			}
			if n := f.calls("C_Login"); n != 1 {
				t.Errorf("%d C_Login, want one", n)
			}
		})
	}
}

// One that it has taken is offered once for each signature that needs a new login.
func TestModuleWithACodeOfItsOwnForALaterLogin(t *testing.T) {
	f, ref := keyed(t)
	s := opened(t, backend(t, f.Module), ref, person(f.Token))
	signs(t, s)
	before := f.calls("C_Login")
	f.set("restart=1", "fail=C_Login 0x80000321 100")
	refuses(t, s, signer.ErrDevice)
	if n := f.calls("C_Login") - before; n != 1 {
		t.Errorf("%d C_Login, want one", n)
	}
	f.set("restart=1")
	signs(t, s)
}
