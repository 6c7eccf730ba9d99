//go:build cgo

package piv

import (
	"context"
	"errors"
	"testing"

	yk "github.com/go-piv/piv-go/v2/piv"

	"github.com/fleet-hsm/fleet-hsm/signer"
	"github.com/fleet-hsm/fleet-hsm/signer/signertest"
	soft "github.com/fleet-hsm/fleet-hsm/softpiv/card"
)

func TestWrongPINTellsWhatIsLeft(t *testing.T) {
	c, ref := oneCard(t, soft.Config{})
	for want := 2; want >= 0; want-- {
		ui := person(wrongPIN)
		s := open(t, newBackend(t, Options{}), ref, ui)
		_, err := s.Sign(t.Context(), []byte("m"))
		var wrong *signer.PINError
		if !errors.As(err, &wrong) || wrong.Left != want {
			t.Fatalf("error is %v, want a PINError with %d left", err, want)
		}
		if errors.Is(err, signer.ErrPINLocked) != (want == 0) {
			t.Errorf("%d left: ErrPINLocked is %v", want, !errors.Is(err, signer.ErrPINLocked))
		}
		if r := ui.Secrets()[0]; r.TriesLeft != want+1 || r.Min != 6 || r.Max != 8 || r.Note == "" || r.Device != "YubiKey 15835999 (slot 9c)" {
			t.Errorf("the question says %+v", r)
		}
	}
	if c.PINLeft() != 0 {
		t.Fatalf("%d tries left", c.PINLeft())
	}
	ui := person(testPIN)
	s := open(t, newBackend(t, Options{}), ref, ui)
	if _, err := s.Sign(t.Context(), []byte("m")); !errors.Is(err, signer.ErrPINLocked) {
		t.Errorf("error is %v, want ErrPINLocked", err)
	}
	if len(ui.Secrets()) != 0 {
		t.Error("asked for a PIN that is blocked")
	}
}

// TestLastTryIsNeverSilent: whatever happens, the card sees a PIN with one try left
// only if the question said so. UIs that are no person refuse it.
func TestLastTryIsNeverSilent(t *testing.T) {
	c, ref := oneCard(t, soft.Config{})
	for range 6 { // six scripts with a wrong PIN
		b := newBackend(t, Options{})
		ui := signertest.NewUI(signer.PIN, wrongPIN)
		s := open(t, b, ref, ui)
		_, err := s.Sign(t.Context(), []byte("m"))
		if err == nil {
			t.Fatal("a wrong PIN signed")
		}
		_ = s.(signer.Unlocker).Unlock(t.Context())
		_, _ = b.Generate(t.Context(), signer.Ref{URI: uri(t, "piv:serial=15835999;slot=82")}, signer.GenerateOptions{}, ui)
		_, _ = b.Setup(t.Context(), uri(t, "piv:serial=15835999"), signer.SetupOptions{}, ui)
	}
	if c.PINLeft() != 1 {
		t.Errorf("%d tries left, want the last one kept for a person", c.PINLeft())
	}
	s := open(t, newBackend(t, Options{}), ref, signertest.NewUI(signer.PIN, testPIN))
	if _, err := s.Sign(t.Context(), []byte("m")); !errors.Is(err, signer.ErrLastTry) {
		t.Errorf("error is %v, want ErrLastTry", err)
	}
	s = open(t, newBackend(t, Options{}), ref, person(testPIN))
	if _, err := s.Sign(t.Context(), []byte("m")); err != nil {
		t.Errorf("a person: %v", err)
	}
	if c.PINLeft() != 3 {
		t.Errorf("%d tries left after the right PIN", c.PINLeft())
	}
}

// TestTriesBurntMeanwhile: while the person types, another program burns tries; the
// person is told before the last one goes.
func TestTriesBurntMeanwhile(t *testing.T) {
	c, ref := oneCard(t, soft.Config{})
	reader := must(yk.Cards())(t)[0]
	burn := func(n int) {
		raw(t, reader, func(y *yk.YubiKey) {
			for range n {
				_ = y.VerifyPIN(wrongPIN)
			}
		})
	}
	var told []int
	ui := &signertest.UI{Person: true, Ask: func(_ context.Context, r signer.SecretRequest) (string, error) {
		told = append(told, r.TriesLeft)
		if len(told) == 1 {
			burn(2)
		}
		return testPIN, nil
	}}
	b := newBackend(t, Options{})
	s := open(t, b, ref, ui)
	if _, err := s.Sign(t.Context(), []byte("m")); err != nil {
		t.Fatal(err)
	}
	if len(told) != 2 || told[0] != 3 || told[1] != 1 {
		t.Errorf("the person was told %v tries, want 3, then 1", told)
	}
	// The same with the PIN in memory: it was right, but the card may have another by now.
	burn(2)
	if _, err := s.Sign(t.Context(), []byte("m")); err != nil {
		t.Fatal(err)
	}
	if len(told) != 3 || told[2] != 1 {
		t.Errorf("the person was told %v tries, want another question with 1", told)
	}
	if c.PINLeft() != 3 {
		t.Errorf("%d tries left", c.PINLeft())
	}
}

func TestPINLengthNeverReachesTheCard(t *testing.T) {
	c, ref := oneCard(t, soft.Config{})
	for _, pin := range []string{"1", "12345", "123456789", "ääääääää"} {
		s := open(t, newBackend(t, Options{}), ref, person(pin))
		if _, err := s.Sign(t.Context(), []byte("m")); !errors.Is(err, signer.ErrPINInvalid) {
			t.Errorf("%q: error is %v, want ErrPINInvalid", pin, err)
		}
	}
	if c.PINLeft() != 3 {
		t.Errorf("%d tries left, want 3", c.PINLeft())
	}
}

// TestPINChangedElsewhere: the PIN in memory is wrong now. One try, then nothing
// more without a new command.
func TestPINChangedElsewhere(t *testing.T) {
	c, ref := oneCard(t, soft.Config{})
	ui := person(testPIN)
	s := open(t, newBackend(t, Options{}), ref, ui)
	if _, err := s.Sign(t.Context(), []byte("m")); err != nil {
		t.Fatal(err)
	}
	raw(t, must(yk.Cards())(t)[0], func(y *yk.YubiKey) {
		if err := y.SetPIN(testPIN, "18281828"); err != nil {
			t.Fatal(err)
		}
	})
	for range 3 {
		if _, err := s.Sign(t.Context(), []byte("m")); !errors.Is(err, signer.ErrPINIncorrect) {
			t.Errorf("error is %v, want ErrPINIncorrect", err)
		}
	}
	if c.PINLeft() != 2 || len(ui.Secrets()) != 1 {
		t.Errorf("%d tries left after %d questions, want 2 after 1", c.PINLeft(), len(ui.Secrets()))
	}
}

func TestNoPINPolicyAsksForNone(t *testing.T) {
	c := newCard(t, soft.Config{Serial: 1})
	k := quick()
	k.PINPolicy = yk.PINPolicyNever
	provision(t, plug(t, c)[0], yk.SlotSignature, k)
	ui := &signertest.UI{}
	s := open(t, newBackend(t, Options{}), signer.Ref{URI: uri(t, "piv:serial=1;slot=9c")}, ui)
	if _, err := s.Sign(t.Context(), []byte("m")); err != nil {
		t.Fatal(err)
	}
	if err := s.(signer.Unlocker).Unlock(t.Context()); err != nil || len(ui.Secrets()) != 0 {
		t.Errorf("unlock: %v after %d questions", err, len(ui.Secrets()))
	}
}

// TestCardAuthenticationSlot: on a card that tells no policy 9e is asked without a
// PIN first, and with one if it refuses.
func TestCardAuthenticationSlot(t *testing.T) {
	for _, policy := range []yk.PINPolicy{yk.PINPolicyNever, yk.PINPolicyAlways} {
		reader := plug(t, newCard(t, soft.Config{OtherVendor: true}))[0]
		k := quick()
		k.PINPolicy = policy
		pub := provision(t, reader, yk.SlotCardAuthentication, k)
		ui := person(testPIN)
		s := open(t, newBackend(t, Options{}), signer.Ref{URI: uri(t, "piv:reader=acme;slot=9e"), Pinned: pub}, ui)
		if _, err := s.Sign(t.Context(), []byte("m")); err != nil {
			t.Fatal(err)
		}
		if asked := len(ui.Secrets()) > 0; asked != (policy == yk.PINPolicyAlways) {
			t.Errorf("policy %d: asked for a PIN: %v", policy, asked)
		}
	}
}
