//go:build cgo

package pkcs11_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/signer"
	"github.com/fleet-hsm/fleet-hsm/signer/pkcs11"
	"github.com/fleet-hsm/fleet-hsm/signer/signertest"
)

// What a module may answer to C_Login, whatever is the matter: every code up to
// CKR_FUNCTION_REJECTED, some that makers define, and -1.
func answers() []uint64 {
	var codes []uint64
	for code := uint64(1); code <= 0x203; code++ {
		codes = append(codes, code)
	}
	return append(codes, 0x80000000, 0x80000001, 0x80000321, 0x8000000000000005, 1<<31-1, ^uint64(0))
}

// A PIN that the token has never taken is offered once, whatever the module answers to a
// wrong one, and however often something is to be signed.
func TestUnprovenPINIsOfferedOnce(t *testing.T) {
	f, ref := keyed(t)
	for _, code := range answers() {
		f.set(fmt.Sprintf("wrong_pin_code=%#x", code))
		logins := f.calls("C_Login")
		b := pkcs11.New(pkcs11.Options{Module: f.Module, Timeout: timeout})
		s, err := b.Open(t.Context(), ref, signertest.NewUI(signer.PIN, "wrong-pin"))
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if _, err := s.Sign(t.Context(), []byte("a message")); err == nil {
				t.Fatalf("%#x: it signed with a wrong PIN", code)
			}
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		if n := f.calls("C_Login") - logins; n != 1 {
			t.Errorf("%#x: %d C_Login, want one", code, n)
		}
	}
}

// Nor does a right one, where the module answers nonsense: nobody can tell.
func TestUnprovenPINAfterNonsense(t *testing.T) {
	for _, code := range []string{"0x5", "0x6", "0x30", "0x32", "0xb0", "0xb3", "0xe0", "0xe1", "0x100", "0x101", "0x102", "0x190"} {
		t.Run(code, func(t *testing.T) {
			f, ref := keyed(t, "fail=C_Login "+code+" 1")
			s := opened(t, backend(t, f.Module), ref, person(f.Token))
			refuses(t, s, signer.ErrPINIncorrect)
			refuses(t, s, signer.ErrPINIncorrect)
			if n := f.calls("C_Login"); n != 1 {
				t.Errorf("%d C_Login, want one", n)
			}
		})
	}
}

// Flags that say so already before the login prove nothing.
func TestUnprovenPINWithLowCount(t *testing.T) {
	f, ref := keyed(t, "flags_on=0x10000", "wrong_pin_code=0x5") // CKF_USER_PIN_COUNT_LOW
	s := opened(t, backend(t, f.Module), ref, signertest.NewUI(signer.PIN, "wrong-pin"))
	refuses(t, s, signer.ErrPINIncorrect)
	refuses(t, s, signer.ErrPINIncorrect)
	if n := f.calls("C_Login"); n != 1 {
		t.Errorf("%d C_Login, want one", n)
	}
}

// A session that was gone before the login: nobody looked at the PIN, and it is offered
// once more.
func TestUnprovenPINAfterALostSession(t *testing.T) {
	t.Run("once", func(t *testing.T) {
		f, ref := keyed(t, "lose_session=1")
		ui := person(f.Token)
		signs(t, opened(t, backend(t, f.Module), ref, ui))
		if n := len(ui.Secrets()); n != 1 || f.calls("C_Login") != 2 {
			t.Errorf("%d C_Login and %d questions, want 2 and 1", f.calls("C_Login"), n)
		}
	})
	t.Run("always", func(t *testing.T) {
		f, ref := keyed(t, "lose_session=9")
		s := opened(t, backend(t, f.Module), ref, person(f.Token))
		refuses(t, s, signer.ErrPINIncorrect)
		if n := f.calls("C_Login"); n != 2 {
			t.Errorf("%d C_Login, want 2", n)
		}
	})
}

// One that the token has taken is offered again where the module's answer is one that a
// restart explains.
func TestProvenPINAfterARestart(t *testing.T) {
	for i, code := range []string{"0x5", "0x30", "0xb3", "0xe1", "0x102"} {
		t.Run(code, func(t *testing.T) {
			f, ref := keyed(t)
			ui := person(f.Token)
			s := opened(t, backend(t, f.Module), ref, ui)
			signs(t, s)
			f.set(fmt.Sprintf("restart=%d", i+1), "fail=C_Login "+code+" 2")
			signs(t, s)
			if n := len(ui.Secrets()); n != 1 {
				t.Errorf("asked %d times for the PIN, want once", n)
			}
		})
	}
}

// The login before each signature may want another PIN than the first one: that the
// token took the one proves nothing of the other.
func TestUnprovenContextPIN(t *testing.T) {
	for _, code := range []string{"0x5", "0x6", "0x30", "0xb3", "0x101", "0x102", "0x80000321"} {
		t.Run(code, func(t *testing.T) {
			f, ref := always(t, "fail=C_Login(context) "+code+" 99")
			s := opened(t, backend(t, f.Module), ref, person(f.Token))
			refuses(t, s, signer.ErrPINIncorrect)
			refuses(t, s, signer.ErrPINIncorrect)
			if n := f.calls("C_Login(context)"); n != 1 {
				t.Errorf("%d context logins, want one", n)
			}
		})
	}
}

// A source that is read again: the same PIN is not offered a second time, another one is.
func TestSourceWithAnotherPIN(t *testing.T) {
	f, ref := keyed(t, "wrong_pin_code=0x5")
	pin := "wrong-pin"
	ui := &signertest.UI{Named: true, Ask: func(context.Context, signer.SecretRequest) (string, error) { return pin, nil }}
	s := opened(t, backend(t, f.Module), ref, ui)
	for range 3 {
		refuses(t, s, signer.ErrPINIncorrect)
	}
	if n := f.calls("C_Login"); n != 1 {
		t.Errorf("%d C_Login, want one", n)
	}
	pin = f.PIN
	signs(t, s)
	if n := f.calls("C_Login"); n != 2 {
		t.Errorf("%d C_Login, want two", n)
	}
}

// The answer to a login that came after its deadline counts: a wrong PIN is not offered
// again, a right one is known to be right.
func TestLateAnswerToALogin(t *testing.T) {
	for pin, want := range map[string]error{"wrong-pin": signer.ErrPINIncorrect, "": nil} {
		f, ref := keyed(t, "hang=C_Login", "wrong_pin_code=0x5")
		if pin == "" {
			pin = f.PIN
		}
		b := hasty(t, f.Module)
		s := opened(t, b, ref, signertest.NewUI(signer.PIN, pin))
		refuses(t, s, signer.ErrDeadline)
		f.set("wrong_pin_code=0x5")
		var err error
		waitFor(t, func() bool {
			_, err = s.Sign(t.Context(), []byte("a message"))
			return !errors.Is(err, signer.ErrDeadline)
		})
		if !errors.Is(err, want) {
			t.Errorf("error is %v, want %v", err, want)
		}
		if n := f.calls("C_Login"); want != nil && n != 1 {
			t.Errorf("%d C_Login, want one", n)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
}
