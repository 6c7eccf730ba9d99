//go:build cgo

package pkcs11_test

import (
	"context"
	"crypto"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/internal/wiresig"
	"github.com/fleet-hsm/fleet-hsm/signer"
	"github.com/fleet-hsm/fleet-hsm/signer/pkcs11"
	"github.com/fleet-hsm/fleet-hsm/signer/signertest"
)

// The drills of the signers' contract, section 4.1, each under its number.

// opened opens a key on a module and closes it with the test.
func opened(t testing.TB, b signer.Backend, ref signer.Ref, ui signer.UI) signer.Signer {
	t.Helper()
	s, err := b.Open(t.Context(), ref, ui)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// signs signs and judges.
func signs(t testing.TB, s signer.Signer) {
	t.Helper()
	sig, err := s.Sign(t.Context(), []byte("a message"))
	if err != nil {
		t.Fatalf("sign: %v", err)
	}
	if err := wiresig.Verify(s.Public(), []byte("a message"), sig); err != nil {
		t.Fatal(err)
	}
}

// refuses signs and wants an error of a kind.
func refuses(t testing.TB, s signer.Signer, want error) error {
	t.Helper()
	sig, err := s.Sign(t.Context(), []byte("a message"))
	if err == nil || sig != nil {
		t.Fatalf("it signed, want %v", want)
	}
	if !errors.Is(err, want) {
		t.Fatalf("error is %v, want %v", err, want)
	}
	return err
}

// keyed is a fake module with a key "targets".
func keyed(t testing.TB, lines ...string) (*fake, signer.Ref) {
	t.Helper()
	f := newFake(t)
	made := generate(t, f.Token, "targets", signer.P256)
	f.set(lines...)
	return f, signer.Ref{URI: parse(t, f.URI("targets")), Pinned: made.Public[0], Roles: []string{"targets"}}
}

// codes that a restart causes (drill 1), by the function that gives them.
func TestDrill1TransientAtOpen(t *testing.T) {
	for _, tt := range []struct{ name, function, code string }{
		{"SLOT_ID_INVALID", "C_GetTokenInfo", "0x03"},
		{"GENERAL_ERROR", "C_Initialize", "0x05"},
		{"FUNCTION_FAILED", "C_OpenSession", "0x06"},
		{"DEVICE_ERROR", "C_GetSlotList", "0x30"},
		{"DEVICE_REMOVED", "C_OpenSession", "0x32"},
		{"OBJECT_HANDLE_INVALID", "C_GetAttributeValue", "0x82"},
		{"SESSION_CLOSED", "C_FindObjectsInit", "0xb0"},
		{"TOKEN_NOT_PRESENT", "C_OpenSession", "0xe0"},
		{"TOKEN_NOT_RECOGNIZED", "C_OpenSession", "0xe1"},
		{"CRYPTOKI_NOT_INITIALIZED", "C_OpenSession", "0x190"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, ref := keyed(t, "fail="+tt.function+" "+tt.code+" 3")
			ui := person(f.Token)
			signs(t, opened(t, backend(t, f.Module), ref, ui))
			if n := len(ui.Secrets()); n != 1 {
				t.Errorf("asked %d times for the PIN, want once", n)
			}
		})
	}
}

// A PIN is tried once, whatever the number of tries for other things.
func TestDrill1NeverForAPIN(t *testing.T) {
	for _, tt := range []struct {
		name, code string
		want       error
	}{
		{"PIN_INCORRECT", "0xa0", signer.ErrPINIncorrect},
		{"PIN_LEN_RANGE", "0xa2", signer.ErrPINInvalid},
		{"PIN_EXPIRED", "0xa3", signer.ErrPINInvalid},
		{"PIN_LOCKED", "0xa4", signer.ErrPINLocked},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, ref := keyed(t, "fail=C_Login "+tt.code+" 99")
			s := opened(t, backend(t, f.Module), ref, person(f.Token))
			err := refuses(t, s, tt.want)
			var ckr *pkcs11.CKRError
			if !errors.As(err, &ckr) || ckr.Name() != "CKR_"+tt.name || ckr.Meaning() == "" {
				t.Errorf("the error does not say which code it was: %v", err)
			}
			refuses(t, s, tt.want)
			if n := f.calls("C_Login"); n != 1 {
				t.Errorf("C_Login was called %d times, want once", n)
			}
		})
	}
}

// A token that is gone for good is an error after at most six tries.
func TestDrill1AtMostSixTries(t *testing.T) {
	f, ref := keyed(t, "fail=C_OpenSession 0x30 9999")
	_, err := backend(t, f.Module).Open(t.Context(), ref, person(f.Token))
	if !errors.Is(err, signer.ErrDevice) {
		t.Fatalf("error is %v, want ErrDevice", err)
	}
	if n := f.calls("C_OpenSession"); n != 6 {
		t.Errorf("%d tries, want 6", n)
	}
}

// HSM restarts as boulder and fabric saw them: CKR_DEVICE_ERROR once, then
// CKR_SESSION_HANDLE_INVALID for ever on everything that is open.
func TestDrill2RestartUnderTheSigner(t *testing.T) {
	f, ref := keyed(t)
	ui := person(f.Token)
	s := opened(t, backend(t, f.Module), ref, ui)
	signs(t, s)
	for _, line := range []string{"restart=1", "restart=2", "restart=3"} {
		f.set(line)
		signs(t, s)
		signs(t, s)
	}
	if n := len(ui.Secrets()); n != 1 {
		t.Errorf("asked %d times for the PIN, want once", n)
	}
}

func TestDrill2TransientInSign(t *testing.T) {
	for _, tt := range []struct{ name, function, code string }{
		{"DEVICE_ERROR", "C_Sign", "0x30"},
		{"SESSION_HANDLE_INVALID", "C_SignInit", "0xb3"},
		{"KEY_HANDLE_INVALID", "C_SignInit", "0x60"},
		{"OBJECT_HANDLE_INVALID", "C_SignInit", "0x82"},
		{"USER_NOT_LOGGED_IN", "C_Sign", "0x101"},
		{"GENERAL_ERROR", "C_Sign", "0x05"},
		{"CRYPTOKI_NOT_INITIALIZED", "C_SignInit", "0x190"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, ref := keyed(t)
			s := opened(t, backend(t, f.Module), ref, person(f.Token))
			signs(t, s)
			f.set("fail=" + tt.function + " " + tt.code + " 3")
			signs(t, s)
		})
	}
}

// The key is found again by its URI and compared; another one is refused.
func TestDrill3AnotherKeyAfterReconnect(t *testing.T) {
	f, ref := keyed(t)
	s := opened(t, backend(t, f.Module), ref, person(f.Token))
	signs(t, s)
	tool(t, f.Token, "--login", "--pin", f.PIN, "--delete-object", "--type", "privkey", "--label", "targets")
	tool(t, f.Token, "--login", "--pin", f.PIN, "--delete-object", "--type", "pubkey", "--label", "targets")
	tool(t, f.Token, "--login", "--pin", f.PIN, "--keypairgen", "--key-type", "EC:prime256v1", "--label", "targets", "--id", "01")
	before := f.calls("C_Login")
	refuses(t, s, signer.ErrKeyChanged)
	if f.calls("C_Login") != before {
		t.Error("the PIN was offered before the key was compared")
	}
}

// The remembered PIN is offered once after a loss; if it is wrong now, it is forgotten.
func TestDrill3PINChangedMeanwhile(t *testing.T) {
	f, ref := keyed(t)
	ui := person(f.Token)
	s := opened(t, backend(t, f.Module), ref, ui)
	signs(t, s)
	tool(t, f.Token, "--login", "--pin", f.PIN, "--change-pin", "--new-pin", "87654321")
	signs(t, s) // the session goes on
	logins := f.calls("C_Login")
	f.set("restart=1")
	refuses(t, s, signer.ErrPINIncorrect)
	refuses(t, s, signer.ErrPINIncorrect)
	if n := f.calls("C_Login") - logins; n != 1 {
		t.Errorf("the old PIN was tried %d times, want once", n)
	}
	if n := len(ui.Secrets()); n != 1 {
		t.Errorf("asked %d times, want once", n)
	}
}

func TestDrill6Tokens(t *testing.T) {
	f := newFake(t, "bad_slot=1")
	generate(t, f.Token, "targets", signer.P256)
	b := backend(t, f.Module)
	signs(t, opened(t, b, signer.Ref{URI: parse(t, f.URI("targets"))}, person(f.Token)))

	_, err := b.Open(t.Context(), signer.Ref{URI: parse(t, "pkcs11:token=nobody;object=x")}, person(f.Token))
	var absent *signer.NotFoundError
	if !errors.As(err, &absent) || !errors.Is(err, signer.ErrNoToken) {
		t.Fatalf("error is %v, want a NotFoundError for a token", err)
	}
	if all := strings.Join(absent.Present, " "); !strings.Contains(all, `"fleet"`) || !strings.Contains(all, "slot 9999") {
		t.Errorf("the error does not list what is there: %v", err)
	}

	// A running SoftHSM does not see tokens that another process makes.
	if err := errors.Join(b.Close(), f.AddToken("fleet")); err != nil {
		t.Fatal(err)
	}
	fresh := backend(t, f.Token.Module)
	_, err = fresh.Open(t.Context(), signer.Ref{URI: parse(t, f.URI("targets"))}, person(f.Token))
	var many *signer.AmbiguousError
	if !errors.As(err, &many) || len(many.Candidates) != 2 || !strings.Contains(many.Candidates[0], "serial") {
		t.Fatalf("error is %v, want both tokens with their serial numbers", err)
	}
	tokens, err := fresh.Tokens(t.Context(), parse(t, "pkcs11:token=fleet"))
	if err != nil || len(tokens) != 2 {
		t.Fatalf("Tokens: %v, %v", tokens, err)
	}
	found := 0
	for _, tok := range tokens {
		u := parse(t, "pkcs11:serial="+tok.Serial+";object=targets")
		s, err := fresh.Open(t.Context(), signer.Ref{URI: u}, person(f.Token))
		if err == nil {
			signs(t, s)
			found++
		} else if !errors.Is(err, signer.ErrKeyNotFound) {
			t.Fatal(err)
		}
	}
	if found != 1 {
		t.Errorf("%d of two tokens have the key, want one", found)
	}
}

func TestDrill6NoSlotIsUnreachable(t *testing.T) {
	f, ref := keyed(t, "no_slots=1")
	b := backend(t, f.Module)
	_, err := b.Open(t.Context(), ref, person(f.Token))
	if !errors.Is(err, signer.ErrUnreachable) || errors.Is(err, signer.ErrNoToken) {
		t.Fatalf("error is %v, want ErrUnreachable", err)
	}
	f.set()
	s := opened(t, b, ref, person(f.Token))
	signs(t, s)
	f.set("no_slots=1", "restart=1")
	refuses(t, s, signer.ErrUnreachable)
	f.set("restart=1")
	signs(t, s)
}

func TestDrill6AmbiguousKey(t *testing.T) {
	f, _ := keyed(t)
	label := twin(t, f.Token)
	b := backend(t, f.Module)
	ui := person(f.Token)
	_, err := b.Open(t.Context(), signer.Ref{URI: parse(t, f.URI(label))}, ui)
	var many *signer.AmbiguousError
	if !errors.As(err, &many) || !strings.Contains(err.Error(), "aa01") || !strings.Contains(err.Error(), "aa02") {
		t.Fatalf("error is %v, want both ids", err)
	}
	if len(ui.Secrets()) != 0 {
		t.Error("asked for a PIN although the token shows both")
	}
	signs(t, opened(t, b, signer.Ref{URI: parse(t, f.URI(label)+";id=%aa%02")}, ui))
}

// The security officer is never logged in to sign.
func TestDrill7SessionsStayReadOnly(t *testing.T) {
	f, ref := keyed(t, "write_protected=1")
	signs(t, opened(t, backend(t, f.Module), ref, person(f.Token)))
	b := backend(t, f.Module)
	_, err := b.Generate(t.Context(), signer.Ref{URI: parse(t, f.URI("new"))}, signer.GenerateOptions{}, person(f.Token))
	if !errors.Is(err, signer.ErrUnsupported) || !strings.Contains(err.Error(), "write-protected") {
		t.Fatalf("generating on a write-protected token: %v", err)
	}
}

func TestDrill8Close(t *testing.T) {
	f, ref := keyed(t)
	b := pkcs11.New(pkcs11.Options{Module: f.Module, Timeout: timeout})
	s := opened(t, b, ref, person(f.Token))
	signs(t, s)
	f.set("hang=C_Sign") // a slow one: it is mended below
	slow := make(chan error, 1)
	go func() {
		_, err := s.Sign(context.Background(), []byte("slow"))
		slow <- err
	}()
	waitFor(t, func() bool { return f.calls("C_Sign") >= 2 })
	closed := make(chan error, 1)
	go func() { closed <- b.Close() }()
	select {
	case err := <-closed:
		t.Fatalf("Close did not wait for the signature under way: %v", err)
	case err := <-slow:
		t.Fatalf("the signature ended early: %v", err)
	default:
	}
	f.set()
	if err := <-slow; err != nil {
		t.Errorf("the signature under way: %v", err)
	}
	if err := <-closed; err != nil {
		t.Errorf("close: %v", err)
	}
	if f.calls("C_Finalize") != 1 || f.calls("C_Logout") != 1 {
		t.Errorf("%d C_Finalize and %d C_Logout, want one each", f.calls("C_Finalize"), f.calls("C_Logout"))
	}
	if err := b.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
	if _, err := b.Open(t.Context(), ref, person(f.Token)); err == nil {
		t.Error("a closed backend opened a key")
	}
}

// The last backend on a module finalises it, not the first.
func TestDrill8TwoBackendsOnOneModule(t *testing.T) {
	f, ref := keyed(t)
	link := t.TempDir() + "/link.so" // the same module by another name
	if err := os.Symlink(f.Module, link); err != nil {
		t.Fatal(err)
	}
	first := pkcs11.New(pkcs11.Options{Module: f.Module, Timeout: timeout})
	second := backend(t, link)
	signs(t, opened(t, first, ref, person(f.Token)))
	s := opened(t, second, ref, person(f.Token))
	signs(t, s)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if f.calls("C_Finalize") != 0 {
		t.Error("the first backend finalised the module under the second")
	}
	signs(t, s)
}

// A second backend with a wrong PIN must not pass because the first is logged in.
func TestDrill8LoggedInIsNotTheRightPIN(t *testing.T) {
	f, ref := keyed(t)
	first := opened(t, backend(t, f.Module), ref, person(f.Token))
	signs(t, first)
	wrong := opened(t, backend(t, f.Module), ref, signertest.NewUI(signer.PIN, "wrong-pin"))
	refuses(t, wrong, signer.ErrPINIncorrect)
	signs(t, first)
}

// canSign judges a key that another tool made.
func canSign(t testing.TB, b signer.Backend, ref signer.Ref, ui signer.UI) crypto.PublicKey {
	t.Helper()
	s := opened(t, b, ref, ui)
	signs(t, s)
	return s.Public()
}
