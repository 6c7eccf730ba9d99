//go:build cgo

package pkcs11_test

import (
	"errors"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/signer"
	"github.com/fleet-hsm/fleet-hsm/signer/pkcs11"
	"github.com/fleet-hsm/fleet-hsm/signer/signertest"
)

// Drills 4 and 5: everything about PINs.

func TestDrill4LockAndFinalTry(t *testing.T) {
	f, ref := keyed(t, "pin_tries=3")
	try := func(ui *signertest.UI) error {
		b := pkcs11.New(pkcs11.Options{Module: f.Module, Timeout: timeout})
		defer b.Close()
		s, err := b.Open(t.Context(), ref, ui)
		if err != nil {
			return err
		}
		_, err = s.Sign(t.Context(), []byte("a message"))
		return err
	}
	wrong := func() *signertest.UI { return signertest.NewUI(signer.PIN, "wrong-pin") }

	if err := try(wrong()); !errors.Is(err, signer.ErrPINIncorrect) {
		t.Fatalf("first wrong PIN: %v", err)
	}
	ui := wrong()
	err := try(ui)
	var pin *signer.PINError
	if !errors.As(err, &pin) || pin.Left != 1 {
		t.Fatalf("second wrong PIN: %v, want one try left", err)
	}
	if r := ui.Secrets()[0]; !r.CountLow || r.TriesLeft != -1 {
		t.Errorf("the second question does not say that the count is low: %+v", r)
	}

	script := person(f.Token)
	logins := f.calls("C_Login")
	if err := try(script); !errors.Is(err, signer.ErrLastTry) {
		t.Fatalf("a script used the last try: %v", err)
	}
	if f.calls("C_Login") != logins {
		t.Fatal("the last try was made without a person")
	}
	bold := wrong()
	bold.Person = true
	if err := try(bold); !errors.Is(err, signer.ErrPINLocked) {
		t.Fatalf("third wrong PIN: %v, want ErrPINLocked", err)
	}
	logins = f.calls("C_Login")
	late := person(f.Token)
	if err := try(late); !errors.Is(err, signer.ErrPINLocked) {
		t.Fatalf("on a blocked token: %v, want ErrPINLocked", err)
	}
	if f.calls("C_Login") != logins || len(late.Secrets()) != 0 {
		t.Error("a blocked token was still asked for or offered a PIN")
	}
}

// A person who says so may use the last try.
func TestDrill4LastTryByAPerson(t *testing.T) {
	f, ref := keyed(t, "flags_on=0x20000") // CKF_USER_PIN_FINAL_TRY
	ui := person(f.Token)
	ui.Person = true
	signs(t, opened(t, backend(t, f.Module), ref, ui))
	if r := ui.Secrets()[0]; r.TriesLeft != 1 {
		t.Errorf("the question does not say that it is the last try: %+v", r)
	}
}

// The PIN that is remembered for reconnects is not tried where one try is left: it may
// have been changed since, and a daemon must not be what locks the token.
func TestDrill4NoReconnectOnTheLastTry(t *testing.T) {
	f, ref := keyed(t)
	ui := person(f.Token)
	ui.Person = true
	s := opened(t, backend(t, f.Module), ref, ui)
	signs(t, s)
	logins := f.calls("C_Login")
	f.set("restart=1", "flags_on=0x20000") // CKF_USER_PIN_FINAL_TRY
	refuses(t, s, signer.ErrLastTry)
	if n := f.calls("C_Login"); n != logins {
		t.Errorf("%d logins on the last try", n-logins)
	}
}

// A vague answer to a wrong PIN does not make it be tried again.
func TestDrill4VagueAnswerToAWrongPIN(t *testing.T) {
	f, ref := keyed(t, "pin_tries=3", "wrong_pin_code=0x05")
	s := opened(t, backend(t, f.Module), ref, signertest.NewUI(signer.PIN, "wrong-pin"))
	refuses(t, s, signer.ErrPINIncorrect)
	if n := f.calls("C_Login"); n != 1 {
		t.Errorf("the PIN was tried %d times, want once", n)
	}
}

func TestDrill4TokenWithoutLogin(t *testing.T) {
	f := newFake(t)
	made := generate(t, f.Token, "targets", signer.P256)
	f.set("no_login=" + f.PIN)
	ui := &signertest.UI{}
	ref := signer.Ref{URI: parse(t, f.URI("targets")), Pinned: made.Public[0]}
	signs(t, opened(t, backend(t, f.Module), ref, ui))
	if len(ui.Secrets()) != 0 || f.calls("C_Login") != 0 {
		t.Error("a token that wants no login was logged in to")
	}
}

func TestDrill4PINPad(t *testing.T) {
	f := newFake(t)
	made := generate(t, f.Token, "targets", signer.P256)
	f.set("pad=" + f.PIN)
	ui := &signertest.UI{}
	ref := signer.Ref{URI: parse(t, f.URI("targets")), Pinned: made.Public[0], Roles: []string{"root"}}
	signs(t, opened(t, backend(t, f.Module), ref, ui))
	if len(ui.Secrets()) != 0 {
		t.Error("asked for a PIN that is entered on the device")
	}
	touches := ui.Touches()
	if len(touches) != 1 || !touches[0].PINPad || ui.Touching() != 0 {
		t.Errorf("the pad was not announced, or its end was not: %+v", touches)
	}
}

// always is a key with CKA_ALWAYS_AUTHENTICATE on a real SoftHSM, which enforces it.
func always(t *testing.T, lines ...string) (*fake, signer.Ref) {
	t.Helper()
	f := newFake(t)
	tool(t, f.Token, "--login", "--pin", f.PIN, "--keypairgen", "--key-type", "EC:prime256v1", "--label", "root", "--id", "01", "--always-auth")
	f.set(lines...)
	return f, signer.Ref{URI: parse(t, f.URI("root")), Roles: []string{"root"}}
}

func TestDrill5AlwaysAuthenticate(t *testing.T) {
	f, ref := always(t)
	ui := person(f.Token)
	s := opened(t, backend(t, f.Module), ref, ui)
	signs(t, s)
	signs(t, s)
	if n := f.calls("C_Login(context)"); n != 2 {
		t.Errorf("%d context logins for 2 signatures", n)
	}
	if n := len(ui.Secrets()); n != 1 {
		t.Errorf("asked %d times for the PIN, want once", n)
	}
}

func TestDrill5ContextPINRefused(t *testing.T) {
	f, ref := always(t, "fail=C_Login(context) 0xa0 99")
	s := opened(t, backend(t, f.Module), ref, person(f.Token))
	refuses(t, s, signer.ErrPINIncorrect)
	refuses(t, s, signer.ErrPINIncorrect)
	if n := f.calls("C_Login(context)"); n != 1 {
		t.Errorf("the PIN was tried %d times, want once", n)
	}
	if f.calls("C_CloseSession") == 0 {
		t.Error("the session with the open operation was not closed")
	}
}

func TestDrill5NotLoggedInIsNotALoss(t *testing.T) {
	f, ref := always(t, "fail=C_Sign 0x101 99")
	s := opened(t, backend(t, f.Module), ref, person(f.Token))
	refuses(t, s, signer.ErrDevice)
	if n := f.calls("C_Initialize"); n != 1 {
		t.Errorf("the module was initialised %d times for a key that wants a login each time", n)
	}
}
