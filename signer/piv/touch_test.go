//go:build cgo

package piv

import (
	"context"
	"errors"
	"testing"
	"time"

	yk "github.com/go-piv/piv-go/v2/piv"

	"github.com/fleet-hsm/fleet-hsm/signer"
	soft "github.com/fleet-hsm/fleet-hsm/softpiv/card"
)

// touchCard is a card whose key wants a touch every time.
func touchCard(t *testing.T, cfg soft.Config) (*soft.Card, signer.Ref) {
	t.Helper()
	cfg.Serial = 1
	c := newCard(t, cfg)
	pub := provision(t, plug(t, c)[0], yk.SlotSignature, yk.Key{Algorithm: yk.AlgorithmEC256, PINPolicy: yk.PINPolicyAlways, TouchPolicy: yk.TouchPolicyAlways})
	return c, signer.Ref{URI: uri(t, "piv:serial=1;slot=9c"), Pinned: pub, Roles: []string{"root"}}
}

func TestTouch(t *testing.T) {
	for _, firmware := range [][3]byte{{5, 7, 1}, {4, 3, 7}} {
		c, ref := touchCard(t, soft.Config{Firmware: firmware})
		ui := person(testPIN)
		s := open(t, newBackend(t, Options{}), ref, ui)
		c.SetTouch(soft.TouchAuto, 50*time.Millisecond)
		if _, err := s.Sign(t.Context(), []byte("m")); err != nil {
			t.Fatal(err)
		}
		if n := len(ui.Touches()); n != 1 || ui.Touching() != 0 {
			t.Errorf("firmware %v: announced %d touches, %d not over", firmware, n, ui.Touching())
		}
		if r := ui.Touches()[0]; r.Device != "YubiKey 1 (slot 9c)" || len(r.Roles) != 1 {
			t.Errorf("the announcement says %+v", r)
		}
	}
}

func TestNoTouchAnnouncedForNothing(t *testing.T) {
	_, ref := oneCard(t, soft.Config{})
	ui := person(testPIN)
	s := open(t, newBackend(t, Options{}), ref, ui)
	if _, err := s.Sign(t.Context(), []byte("m")); err != nil {
		t.Fatal(err)
	}
	if len(ui.Touches()) != 0 {
		t.Error("a touch was announced for a key that wants none")
	}
}

// TestMissedTouch is told apart from a wrong PIN, costs no try, and can be made good.
func TestMissedTouch(t *testing.T) {
	c, ref := touchCard(t, soft.Config{TouchTimeout: 50 * time.Millisecond})
	ui := person(testPIN)
	s := open(t, newBackend(t, Options{}), ref, ui)
	c.MissTouches(1)
	_, err := s.Sign(t.Context(), []byte("m"))
	if !errors.Is(err, signer.ErrTouchTimeout) || errors.Is(err, signer.ErrPINIncorrect) {
		t.Errorf("error is %v, want ErrTouchTimeout", err)
	}
	if ui.Touching() != 0 {
		t.Error("the announcement is not over")
	}
	if _, err := s.Sign(t.Context(), []byte("m")); err != nil {
		t.Errorf("the next one: %v", err)
	}
	if len(ui.Secrets()) != 1 || c.PINLeft() != 3 {
		t.Errorf("%d questions for the PIN, %d tries left", len(ui.Secrets()), c.PINLeft())
	}
}

// TestMissedTouchOfUnknownPolicy: an imported key on firmware that tells no policy.
// Only the time tells.
func TestMissedTouchOfUnknownPolicy(t *testing.T) {
	c := newCard(t, soft.Config{Serial: 1, Firmware: [3]byte{4, 3, 7}, TouchTimeout: 200 * time.Millisecond})
	reader := plug(t, c)[0]
	pub := provision(t, reader, yk.SlotSignature, quick())
	private := importKey(t, reader, yk.SlotSignature, yk.Key{PINPolicy: yk.PINPolicyAlways, TouchPolicy: yk.TouchPolicyAlways})
	_ = pub
	b := newBackend(t, Options{})
	ui := person(testPIN)
	s := open(t, b, signer.Ref{URI: uri(t, "piv:serial=1;slot=9c"), Pinned: private.Public()}, ui)
	c.MissTouches(1)
	if _, err := s.Sign(t.Context(), []byte("m")); !errors.Is(err, signer.ErrDevice) {
		t.Errorf("refused at once: %v, want ErrDevice", err)
	}
	b.touchWait = 100 * time.Millisecond
	c.MissTouches(1)
	if _, err := s.Sign(t.Context(), []byte("m")); !errors.Is(err, signer.ErrTouchTimeout) {
		t.Errorf("refused after a wait: %v, want ErrTouchTimeout", err)
	}
	if len(ui.Touches()) != 2 {
		t.Errorf("announced %d touches, want 2: the key may want one", len(ui.Touches()))
	}
}

// TestCanceledWhileWaitingForTouch returns at once; the signer is then of no use,
// the card is, once the call has come back.
func TestCanceledWhileWaitingForTouch(t *testing.T) {
	c, ref := touchCard(t, soft.Config{})
	c.SetTouch(soft.TouchByHand, 0)
	b := newBackend(t, Options{})
	ui := person(testPIN)
	s := open(t, b, ref, ui)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for !c.WaitingForTouch() {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	soon(t, "a canceled signature", func() {
		if _, err := s.Sign(ctx, []byte("m")); !errors.Is(err, signer.ErrCanceled) || !errors.Is(err, context.Canceled) {
			t.Errorf("error is %v, want ErrCanceled", err)
		}
	})
	if ui.Touching() != 0 {
		t.Error("the announcement is not over")
	}
	if _, err := s.Sign(t.Context(), []byte("m")); !errors.Is(err, signer.ErrDeadline) {
		t.Errorf("the signer goes on after a call was left behind: %v", err)
	}
	c.Touch() // the abandoned call comes back
	c.SetTouch(soft.TouchAuto, 0)
	again := open(t, b, ref, ui)
	if _, err := again.Sign(t.Context(), []byte("m")); err != nil {
		t.Errorf("a new signer: %v", err)
	}
}

// TestCardThatDoesNotAnswer ends after the deadline.
func TestCardThatDoesNotAnswer(t *testing.T) {
	c, ref := touchCard(t, soft.Config{})
	c.SetTouch(soft.TouchByHand, 0)
	// Long enough that a busy machine gets as far as the touch.
	b := newBackend(t, Options{Deadline: time.Second, BusyFor: 100 * time.Millisecond})
	s := open(t, b, ref, person(testPIN))
	soon(t, "a signature", func() {
		if _, err := s.Sign(t.Context(), []byte("m")); !errors.Is(err, signer.ErrDeadline) {
			t.Errorf("error is %v, want ErrDeadline", err)
		}
	})
	soon(t, "another look", func() {
		if _, err := b.Open(t.Context(), ref, person(testPIN)); !errors.Is(err, signer.ErrDeadline) {
			t.Errorf("error is %v, want ErrDeadline", err)
		}
	})
	c.Remove()
}
