//go:build cgo

package pkcs11_test

import (
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/signer"
	"github.com/fleet-hsm/fleet-hsm/signer/pkcs11"
	"github.com/fleet-hsm/fleet-hsm/signer/signertest"
	"github.com/fleet-hsm/fleet-hsm/softhsm"
)

func TestGenerateEveryAlgorithm(t *testing.T) {
	tok := softhsm.New(t)
	b := backend(t, tok.Module)
	ui := person(tok)
	for _, a := range signer.Algorithms() {
		made, err := b.Generate(t.Context(), signer.Ref{URI: parse(t, tok.URI(string(a)))}, signer.GenerateOptions{Algorithm: a}, ui)
		if err != nil {
			t.Fatalf("%s: %v", a, err)
		}
		if got, _ := signer.AlgorithmOf(made.Public[0]); got != a {
			t.Errorf("asked for %s, got %s", a, got)
		}
		if len(made.Warnings) > 0 {
			t.Errorf("%s: SoftHSM gives every protection, but: %v", a, made.Warnings)
		}
		if id, ok := made.URI.Attr("id"); !ok || id == "" {
			t.Errorf("%s: the URI has no id: %s", a, made.URI)
		}
		pub := canSign(t, b, signer.Ref{URI: made.URI, Pinned: made.Public[0]}, ui)
		if !signer.SamePublic(pub, made.Public[0]) {
			t.Errorf("%s: another key was opened", a)
		}
	}
	if n := len(ui.Secrets()); n != 1 {
		t.Errorf("asked %d times for the PIN, want once", n)
	}
	keys, err := b.Keys(t.Context(), signer.Ref{URI: parse(t, "pkcs11:token=fleet")}, ui)
	if err != nil || len(keys) != 5 {
		t.Fatalf("Keys: %d, %v", len(keys), err)
	}
	for _, k := range keys {
		for name, v := range map[string]*bool{"local": k.Local, "never extractable": k.NeverExtractable, "always sensitive": k.AlwaysSensitive, "sensitive": k.Sensitive} {
			if v == nil || !*v {
				t.Errorf("%s: %s is not reported", k.Label, name)
			}
		}
		if k.Extractable == nil || *k.Extractable || k.KeyGenMechanism == "" || len(k.Warnings) > 0 || k.Problem != "" {
			t.Errorf("%s: %+v", k.Label, k)
		}
		found, err := b.Find(t.Context(), k.Public)
		if err != nil || found.IsZero() {
			t.Errorf("Find %s: %v, %v", k.Label, found, err)
		}
		canSign(t, b, signer.Ref{URI: found, Pinned: k.Public}, ui)
	}
}

// OpenSC and OpenSSL, which share no code with us, read and use what we made.
func TestGenerateJudgedByPKCS11Tool(t *testing.T) {
	tok := softhsm.New(t)
	made := generate(t, tok, "targets", signer.P256)
	list := tool(t, tok, "--login", "--pin", tok.PIN, "--list-objects")
	for _, want := range []string{"sensitive, always sensitive, never extractable, local", "Usage:      sign\n", "label:      targets"} {
		if !strings.Contains(list, want) {
			t.Errorf("pkcs11-tool does not say %q:\n%s", want, list)
		}
	}
	dir := t.TempDir()
	message, sig, pub := filepath.Join(dir, "m"), filepath.Join(dir, "s"), filepath.Join(dir, "p")
	b := backend(t, tok.Module)
	s := opened(t, b, signer.Ref{URI: made.URI}, person(tok))
	raw, err := s.Sign(t.Context(), []byte("a message"))
	if err = errors.Join(err, os.WriteFile(message, []byte("a message"), 0o600), os.WriteFile(sig, raw, 0o600)); err != nil {
		t.Fatal(err)
	}
	tool(t, tok, "--read-object", "--type", "pubkey", "--label", "targets", "-o", pub)
	out, err := exec.Command("openssl", "dgst", "-sha256", "-keyform", "DER", "-verify", pub, "-signature", sig, message).CombinedOutput()
	if err != nil {
		t.Errorf("openssl does not verify our signature under the key that pkcs11-tool read: %v: %s", err, out)
	}
}

func TestGenerateRefusesTakenNames(t *testing.T) {
	tok := softhsm.New(t)
	made := generate(t, tok, "targets", signer.P256)
	id, _ := made.URI.Attr("id")
	b := backend(t, tok.Module)
	for _, u := range []signer.URI{
		parse(t, tok.URI("targets")),
		parse(t, tok.URI("another")).With("id", id),
		parse(t, "pkcs11:token=fleet").With("id", id),
	} {
		_, err := b.Generate(t.Context(), signer.Ref{URI: u}, signer.GenerateOptions{}, person(tok))
		if !errors.Is(err, signer.ErrKeyExists) {
			t.Errorf("%s: error is %v, want ErrKeyExists", u, err)
		}
	}
	if keys, _ := b.Keys(t.Context(), signer.Ref{URI: parse(t, "pkcs11:token=fleet")}, nil); len(keys) != 1 {
		t.Errorf("%d keys, want the first one alone", len(keys))
	}
	if _, err := b.Generate(t.Context(), signer.Ref{URI: parse(t, "pkcs11:token=fleet")}, signer.GenerateOptions{}, person(tok)); err == nil {
		t.Error("made a key without a name")
	}
	if _, err := b.Generate(t.Context(), signer.Ref{URI: parse(t, tok.URI("two"))}, signer.GenerateOptions{Count: 2}, person(tok)); !errors.Is(err, signer.ErrUnsupported) {
		t.Errorf("two keys under one URI: %v", err)
	}
}

// A module that does not know CKA_COPYABLE gets a second template, and what is missing
// is said.
func TestGenerateWithFewerAttributes(t *testing.T) {
	f := newFake(t, "no_attribute=0x171", "no_attribute=0x170") // COPYABLE, MODIFIABLE
	b := backend(t, f.Module)
	made, err := b.Generate(t.Context(), signer.Ref{URI: parse(t, f.URI("targets"))}, signer.GenerateOptions{}, person(f.Token))
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(made.Warnings, "\n")
	for _, want := range []string{"CKA_MODIFIABLE is 1", "CKA_COPYABLE is 1"} {
		if !strings.Contains(all, want) {
			t.Errorf("no warning %q in %q", want, all)
		}
	}
	canSign(t, b, signer.Ref{URI: made.URI}, person(f.Token))
}

// Modules that want something special: what can be made is made, and for the rest the
// error says which attribute. None of them is told to try another algorithm.
func TestGenerateOnModulesThatWantMore(t *testing.T) {
	explicit, err := exec.Command("openssl", "ecparam", "-name", "prime256v1", "-param_enc", "explicit", "-outform", "DER").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name  string
		lines []string
		want  string // in the error; "": it makes the key
	}{
		{"parameters written out", []string{"needs_params=" + hex.EncodeToString(explicit)}, ""},
		{"parameters by name", []string{"needs_params=" + hex.EncodeToString([]byte("\x13\x0aprime256v1"))}, ""},
		{"an ID of its own", []string{"no_attribute=0x102"}, ""},
		{"an ID of its own, inconsistent", []string{"no_attribute=0x102", "no_attribute_code=0xd1"}, ""},
		{"no label", []string{"no_attribute=0x03"}, ""},
		{"CKA_SENSITIVE not to be set", []string{"no_attribute=0x103"}, ""},
		{"CKA_EXTRACTABLE not to be set", []string{"no_attribute=0x162", "no_attribute_code=0x13"}, ""},
		{"CKA_EXTRACTABLE not to be set, nor read", []string{"no_attribute=0x162", "hide_attr=0x162"}, "CKA_EXTRACTABLE"},
		{"a maker's attribute", []string{"needs_attribute=0x80000123"}, "one more attribute, most likely its maker's own"},
		{"unknown parameters", []string{"needs_params=0500"}, "CKA_EC_PARAMS"},
		{"no such curve", []string{"fail=C_GenerateKeyPair 0x140 999"}, "CKA_EC_PARAMS"},
		{"SO login", []string{"fail=C_GenerateKeyPair 0x103 999"}, "security officer"},
		{"no mechanism", []string{"fail=C_GenerateKeyPair 0x70 999"}, "CKM_EC_KEY_PAIR_GEN"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(t, tt.lines...)
			b := backend(t, f.Module)
			made, err := b.Generate(t.Context(), signer.Ref{URI: parse(t, f.URI("targets"))}, signer.GenerateOptions{}, person(f.Token))
			if tt.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				f.set()
				canSign(t, b, signer.Ref{URI: made.URI, Pinned: made.Public[0]}, person(f.Token))
				return
			}
			var e *signer.GenerateError
			if !errors.As(err, &e) || !errors.Is(err, signer.ErrUnsupported) || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("error is %v, want one that names %q", err, tt.want)
			}
			f.set()
			if keys, err := b.Keys(t.Context(), signer.Ref{URI: parse(t, "pkcs11:token=fleet")}, person(f.Token)); err != nil || len(keys) != 0 {
				t.Errorf("something is left on the token: %v, %v", keys, err)
			}
		})
	}
}

// A module that makes extractable keys whatever it is asked: refused, and destroyed.
func TestGenerateRefusesExtractable(t *testing.T) {
	f := newFake(t, "extractable=1")
	b := backend(t, f.Module)
	_, err := b.Generate(t.Context(), signer.Ref{URI: parse(t, f.URI("targets"))}, signer.GenerateOptions{}, person(f.Token))
	if err == nil || !strings.Contains(err.Error(), "CKA_EXTRACTABLE") {
		t.Fatalf("error is %v, want the key refused", err)
	}
	if keys, err := b.Keys(t.Context(), signer.Ref{URI: parse(t, "pkcs11:token=fleet")}, person(f.Token)); err != nil || len(keys) != 0 {
		t.Errorf("the key is still there: %v, %v", keys, err)
	}
}

// NSS says LOCAL 0 of keys that it made itself, others do not know attributes: warned,
// not refused.
func TestGenerateWithUnsureProvenance(t *testing.T) {
	f := newFake(t, "attr=0x163:00", "hide_attr=0x164", "hide_attr=0x165", "hide_attr=0x166")
	b := backend(t, f.Module)
	made, err := b.Generate(t.Context(), signer.Ref{URI: parse(t, f.URI("targets"))}, signer.GenerateOptions{}, person(f.Token))
	if err != nil {
		t.Fatal(err)
	}
	if len(made.Warnings) != 1 || !strings.Contains(made.Warnings[0], "CKA_LOCAL is 0") {
		t.Errorf("warnings: %q", made.Warnings)
	}
}

func TestGenerateUnsupportedAlgorithm(t *testing.T) {
	f := newFake(t, "fail=C_GenerateKeyPair 0x70 99")
	_, err := backend(t, f.Module).Generate(t.Context(), signer.Ref{URI: parse(t, f.URI("x"))}, signer.GenerateOptions{Algorithm: signer.Ed25519}, person(f.Token))
	if !errors.Is(err, signer.ErrUnsupported) || !strings.Contains(err.Error(), "ed25519") {
		t.Errorf("error is %v, want ed25519 refused by name", err)
	}
	if n := f.calls("C_GenerateKeyPair"); n != 1 {
		t.Errorf("%d calls, want one", n)
	}
}

func TestDescribe(t *testing.T) {
	f := newFake(t)
	made := generate(t, f.Token, "targets", signer.P256)
	importKey(t, f, "imported", "0c", 0, false)
	b := backend(t, f.Module)

	blind, err := b.Describe(t.Context(), signer.Ref{URI: made.URI}, nil)
	if err != nil || blind.Local == nil || !*blind.Local || blind.Sensitive != nil || len(blind.Warnings) != 1 {
		t.Errorf("without a login: %+v, %v", blind, err)
	}
	whole, err := b.Describe(t.Context(), signer.Ref{URI: made.URI, Pinned: made.Public[0]}, person(f.Token))
	if err != nil || whole.NeverExtractable == nil || !*whole.NeverExtractable || len(whole.Warnings) != 0 || whole.Token.Model == "" {
		t.Errorf("with a login: %+v, %v", whole, err)
	}
	imported, err := b.Describe(t.Context(), signer.Ref{URI: parse(t, f.URI("imported"))}, person(f.Token))
	if err != nil || imported.Local == nil || *imported.Local || len(imported.Warnings) == 0 {
		t.Errorf("imported: %+v, %v", imported, err)
	}
	if _, err := b.Describe(t.Context(), signer.Ref{URI: made.URI, Pinned: imported.Public}, person(f.Token)); !errors.Is(err, signer.ErrKeyChanged) {
		t.Errorf("another key than pinned: %v", err)
	}
}

func TestSetup(t *testing.T) {
	tok := softhsm.New(t)
	b := backend(t, tok.Module)
	ui := &signertest.UI{Answers: map[signer.SecretKind]string{signer.NewSOPIN: "so-12345", signer.NewPIN: "user-123"}}
	made, err := b.Setup(t.Context(), parse(t, "pkcs11:token=second"), signer.SetupOptions{}, ui)
	if err != nil {
		t.Fatal(err)
	}
	if made.Label != "second" || !made.Initialized || made.Serial == "" {
		t.Errorf("the new token is %+v", made)
	}
	key, err := b.Generate(t.Context(), signer.Ref{URI: parse(t, "pkcs11:token=second;object=root")}, signer.GenerateOptions{}, signertest.NewUI(signer.PIN, "user-123"))
	if err != nil {
		t.Fatal(err)
	}
	canSign(t, b, signer.Ref{URI: key.URI}, signertest.NewUI(signer.PIN, "user-123"))

	if _, err := b.Setup(t.Context(), parse(t, "pkcs11:token=second"), signer.SetupOptions{}, ui); !errors.Is(err, signer.ErrAlreadySetUp) {
		t.Errorf("a label that is taken: %v", err)
	}
	wrong := &signertest.UI{Answers: map[signer.SecretKind]string{signer.SOPIN: "wrong-so", signer.NewPIN: "user-456"}}
	erase := signer.SetupOptions{Erase: "second"}
	fresh := backend(t, tok.Module)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := fresh.Setup(t.Context(), parse(t, "pkcs11:token=third"), erase, wrong); !errors.Is(err, signer.ErrPINIncorrect) {
		t.Errorf("a wrong SO PIN: %v", err)
	}
	// Whoever looked first what is on it has a session open.
	if _, err := fresh.Keys(t.Context(), signer.Ref{URI: parse(t, "pkcs11:token=second")}, nil); err != nil {
		t.Fatal(err)
	}
	right := &signertest.UI{Answers: map[signer.SecretKind]string{signer.SOPIN: "so-12345", signer.NewPIN: "user-456"}}
	if made, err = fresh.Setup(t.Context(), parse(t, "pkcs11:token=third"), erase, right); err != nil || made.Label != "third" {
		t.Errorf("erasing: %+v, %v", made, err)
	}
	tokens, err := fresh.Tokens(t.Context(), parse(t, "pkcs11:"))
	if err != nil || len(tokens) != 3 { // fleet, third, and the empty one that is always there
		t.Errorf("tokens: %+v, %v", tokens, err)
	}
}

func TestSetupRefuses(t *testing.T) {
	tok := softhsm.New(t)
	ui := &signertest.UI{Answers: map[signer.SecretKind]string{signer.NewSOPIN: "so-12345", signer.NewPIN: "user-123", signer.SOPIN: "x"}}
	for _, tt := range []struct {
		name, uri string
		opts      signer.SetupOptions
		want      error
	}{
		{"no label", "pkcs11:", signer.SetupOptions{}, signer.ErrUnsupported},
		{"a label too long", "pkcs11:token=123456789012345678901234567890123", signer.SetupOptions{}, signer.ErrUnsupported},
		{"a key", "pkcs11:token=new;object=root", signer.SetupOptions{}, signer.ErrUnsupported},
		{"nothing to erase", "pkcs11:token=new", signer.SetupOptions{Erase: "nobody"}, signer.ErrNoToken},
		{"label taken", "pkcs11:token=fleet", signer.SetupOptions{}, signer.ErrAlreadySetUp},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := backend(t, tok.Module).Setup(t.Context(), parse(t, tt.uri), tt.opts, ui)
			if !errors.Is(err, tt.want) {
				t.Errorf("error is %v, want %v", err, tt.want)
			}
		})
	}
	if n := len(ui.Secrets()); n != 0 {
		t.Errorf("asked %d times for secrets of a set-up that was refused", n)
	}
	_, err := backend(t, tok.Module).Setup(t.Context(), parse(t, "pkcs11:token=new"), signer.SetupOptions{}, &signertest.UI{})
	if !errors.Is(err, signer.ErrNoSecret) {
		t.Errorf("without a source: %v", err)
	}
}

func TestProbe(t *testing.T) {
	f, ref := keyed(t)
	other := generate(t, f.Token, "other", signer.P256)
	codes := func(o pkcs11.Options, ref signer.Ref) string {
		o.Timeout = timeout
		b := pkcs11.New(o)
		defer b.Close()
		var all []string
		for _, f := range b.Probe(t.Context(), ref) {
			code := f.Code
			if !f.OK {
				code = "!" + code
			}
			if f.Text == "" {
				t.Errorf("%s has no text", f.Code)
			}
			all = append(all, code)
		}
		return strings.Join(all, " ")
	}
	want := func(name, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	at := pkcs11.Options{Module: f.Module}
	want("all well", codes(at, ref), "module token pin key")
	want("no module", codes(pkcs11.Options{}, ref), "!module-none")
	want("module missing", codes(pkcs11.Options{Module: "/nonexistent.so"}, ref), "!module-missing")
	want("key changed", codes(at, signer.Ref{URI: ref.URI, Pinned: other.Public[0]}), "module token pin !key-changed")
	want("key hidden or absent", codes(at, signer.Ref{URI: parse(t, f.URI("nobody"))}), "module token pin key-hidden")
	want("token absent", codes(at, signer.Ref{URI: parse(t, "pkcs11:token=nobody")}), "module !token-absent")
	f.set("flags_on=0x10000")
	want("count low", codes(at, ref), "module token pin-count-low key")
	f.set("flags_on=0x20000")
	want("final try", codes(at, ref), "module token pin-final-try key")
	f.set("flags_on=0x40000")
	want("locked", codes(at, ref), "module token !pin-locked key")
	f.set("flags_on=0x40000", "flags_off=0x4")
	want("locked, and no login wanted", codes(at, ref), "module token pin-locked key")
	f.set("flags_off=0x8")
	want("no user PIN, it says", codes(at, ref), "module token pin-not-set key")
	f.set("attr=0x163:00") // CKA_LOCAL, as NSS has it
	want("not made in it, it says", codes(at, ref), "module token pin key key-imported")
	f.set("no_slots=1")
	want("unreachable", codes(at, ref), "module !token-unreachable")
	f.set()
	real := pkcs11.Options{Module: f.Token.Module}
	t.Setenv("SOFTHSM2_CONF", "/nonexistent.conf")
	want("no SoftHSM configuration", codes(real, ref), "!softhsm-config-missing")
	t.Setenv("SOFTHSM2_CONF", f.Conf)
	if err := os.Rename(f.Store, f.Store+".away"); err != nil {
		t.Fatal(err)
	}
	want("no token folder", codes(real, ref), "!softhsm-tokendir-missing")
}
