//go:build cgo

package piv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	yk "github.com/go-piv/piv-go/v2/piv"

	"github.com/fleet-hsm/fleet-hsm/internal/wiresig"
	"github.com/fleet-hsm/fleet-hsm/signer"
	"github.com/fleet-hsm/fleet-hsm/signer/signertest"
	soft "github.com/fleet-hsm/fleet-hsm/softpiv/card"
)

// soon fails the test if f takes longer than any of this can.
func soon(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatalf("%s hangs", what)
	}
}

// TestPulledOutAtEveryCommand: the card leaves before, or after, the n-th command of
// opening and signing. Whatever n: a signature that verifies or an error that says
// what happened, no PIN try lost, and the next run works.
func TestPulledOutAtEveryCommand(t *testing.T) {
	arg, child := os.LookupEnv(envAlone)
	if !child {
		for _, firmware := range []string{"5.7.1", "5.4.3", "4.3.7"} {
			alone(t, firmware+" before")
			alone(t, firmware+" after")
		}
		return
	}
	var firmware [3]byte
	var when string
	if _, err := fmt.Sscanf(arg, "%d.%d.%d %s", &firmware[0], &firmware[1], &firmware[2], &when); err != nil {
		t.Fatal(err)
	}
	c, ref := oneCard(t, soft.Config{Firmware: firmware})
	knob := map[string]func(int){"before": c.RemoveAfter, "after": c.LoseAnswerAfter}[when]
	signatures := 0
	for n := 0; ; n++ {
		knob(n)
		already := c.Count()
		soon(t, fmt.Sprintf("%s command %d", when, n), func() { signOrSay(t, ref, &signatures) })
		used := c.Count() - already
		knob(-1)
		c.Insert()
		if c.PINLeft() != 3 {
			t.Fatalf("command %d: %d tries left", n, c.PINLeft())
		}
		if used < n {
			break // the card was not asked for that many
		}
	}
	if signatures == 0 {
		t.Error("not one signature: the loop proves nothing")
	}
	signOrFail(t, ref)
}

// signOrSay opens and signs; an error must say that the card was gone.
func signOrSay(t *testing.T, ref signer.Ref, signatures *int) {
	b := newBackend(t, Options{})
	sig, err := openAndSign(t.Context(), b, ref)
	if err == nil {
		if err := wiresig.Verify(ref.Pinned, []byte("root"), sig); err != nil {
			t.Errorf("a signature that does not verify was returned: %v", err)
		}
		*signatures++
		return
	}
	if sig != nil {
		t.Error("a signature came with an error")
	}
	if !errors.Is(err, signer.ErrNoToken) {
		t.Errorf("error is %v, want ErrNoToken", err)
	}
}

func openAndSign(ctx context.Context, b *Backend, ref signer.Ref) ([]byte, error) {
	s, err := b.Open(ctx, ref, person(testPIN))
	if err != nil {
		return nil, err
	}
	defer func() { _ = s.Close() }()
	return s.Sign(ctx, []byte("root"))
}

func signOrFail(t *testing.T, ref signer.Ref) {
	t.Helper()
	if _, err := openAndSign(t.Context(), newBackend(t, Options{}), ref); err != nil {
		t.Fatalf("the next run: %v", err)
	}
}

// TestPulledOutWithAPersonThere: where somebody can be asked, a card that leaves
// before the PIN was sent is asked for, and the signature is made.
func TestPulledOutWithAPersonThere(t *testing.T) {
	c, ref := oneCard(t, soft.Config{})
	ui := person(testPIN)
	ui.OnInsert = func(signer.InsertRequest) error { c.Insert(); return nil }
	c.Remove()
	s := open(t, newBackend(t, Options{}), ref, ui)
	c.Remove()
	if _, err := s.Sign(t.Context(), []byte("m")); err != nil {
		t.Fatal(err)
	}
	c.Remove()
	if _, err := s.Sign(t.Context(), []byte("m")); err != nil {
		t.Fatal(err)
	}
	if n := len(ui.Inserts()); n != 3 {
		t.Errorf("asked %d times for the card, want 3", n)
	}
	if r := ui.Inserts()[0]; r.Device != "YubiKey 15835999" || len(r.Roles) != 1 {
		t.Errorf("the question says %+v", r)
	}
	if n := len(ui.Secrets()); n != 1 {
		t.Errorf("asked %d times for the PIN", n)
	}
}

func TestAbsentCard(t *testing.T) {
	c, ref := oneCard(t, soft.Config{})
	ref.URI = ref.URI.With("serial", "42")
	_, err := newBackend(t, Options{}).Open(t.Context(), ref, person(testPIN))
	var absent *signer.NotFoundError
	if !errors.As(err, &absent) || !errors.Is(err, signer.ErrNoToken) || len(absent.Present) != 1 {
		t.Errorf("error is %v, want a NotFoundError that lists the card that is there", err)
	}
	// A person who says five times that it is there is believed no more.
	ui := person(testPIN)
	ui.OnInsert = func(signer.InsertRequest) error { return nil }
	b := newBackend(t, Options{})
	b.settle = 0
	if _, err := b.Open(t.Context(), ref, ui); !errors.Is(err, signer.ErrNoToken) || len(ui.Inserts()) != maxInserts {
		t.Errorf("error is %v after %d questions", err, len(ui.Inserts()))
	}
	ui.OnInsert = func(signer.InsertRequest) error { return context.Canceled }
	if _, err := b.Open(t.Context(), ref, ui); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v, want Canceled", err)
	}
	_ = c
}

// TestSwappedWhileAPersonTypes: another card is in when the PIN comes. It must not
// get the PIN.
func TestSwappedWhileAPersonTypes(t *testing.T) {
	blue, red := newCard(t, soft.Config{Serial: 1, Reader: "YubiKey A"}), newCard(t, soft.Config{Serial: 2, Reader: "YubiKey A"})
	red.Remove()
	readers := plug(t, blue, red)
	pub := provision(t, readers[0], yk.SlotSignature, quick())
	ui := &signertest.UI{Ask: func(context.Context, signer.SecretRequest) (string, error) {
		blue.Remove()
		red.Insert()
		return testPIN, nil
	}}
	s := open(t, newBackend(t, Options{}), signer.Ref{URI: uri(t, "piv:serial=1;slot=9c"), Pinned: pub}, ui)
	if _, err := s.Sign(t.Context(), []byte("m")); !errors.Is(err, signer.ErrNoToken) {
		t.Errorf("error is %v, want ErrNoToken", err)
	}
	if red.PINLeft() != 3 {
		t.Error("the other card got the PIN")
	}
}

func TestSeveralCards(t *testing.T) {
	cards := []*soft.Card{newCard(t, soft.Config{Serial: 1}), newCard(t, soft.Config{Serial: 2}), newCard(t, soft.Config{Serial: 3})}
	readers := plug(t, cards...)
	b := newBackend(t, Options{})
	var refs []signer.Ref
	for i, r := range readers {
		refs = append(refs, signer.Ref{URI: uri(t, fmt.Sprintf("piv:serial=%d;slot=9c", i+1)), Pinned: provision(t, r, yk.SlotSignature, quick())})
	}
	ui := person(testPIN)
	for _, i := range []int{2, 0, 1} {
		s := open(t, b, refs[i], ui)
		sig := must(s.Sign(t.Context(), []byte("m")))(t)
		if err := wiresig.Verify(refs[i].Pinned, []byte("m"), sig); err != nil {
			t.Errorf("card %d: %v", i+1, err)
		}
		found := must(b.Find(t.Context(), refs[i].Pinned))(t)
		if found.String() != refs[i].URI.String() {
			t.Errorf("found %s, want %s", found, refs[i].URI)
		}
		// Without a serial number the expected key decides.
		s = open(t, b, signer.Ref{URI: uri(t, "piv:slot=9c"), Pinned: refs[i].Pinned}, ui)
		if s.URI().String() != refs[i].URI.String() {
			t.Errorf("opened %s, want %s", s.URI(), refs[i].URI)
		}
	}
	if n := len(ui.Secrets()); n != 3 {
		t.Errorf("asked %d times for the PINs of 3 cards", n)
	}
	// The one that another program holds is in nobody's way.
	raw(t, readers[0], func(*yk.YubiKey) {
		if _, err := openAndSign(t.Context(), b, refs[2]); err != nil {
			t.Error(err)
		}
	})
	for _, r := range readers {
		raw(t, r, func(*yk.YubiKey) {})
	}
}
