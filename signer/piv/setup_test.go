//go:build cgo

package piv

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	yk "github.com/go-piv/piv-go/v2/piv"

	"github.com/fleet-hsm/fleet-hsm/signer"
	"github.com/fleet-hsm/fleet-hsm/signer/signertest"
	soft "github.com/fleet-hsm/fleet-hsm/softpiv/card"
)

// setupUI answers as somebody who sets up a card; the PIN question is for reruns.
func setupUI() *signertest.UI {
	return &signertest.UI{Person: true, Answers: map[signer.SecretKind]string{
		signer.NewPIN: testPIN, signer.NewPUK: testPUK, signer.PIN: testPIN,
	}}
}

// unattendedUI has no answer to the question for the present PIN.
func unattendedUI() *signertest.UI {
	return &signertest.UI{Answers: map[signer.SecretKind]string{signer.NewPIN: testPIN, signer.NewPUK: testPUK}}
}

// isSetUp checks a card as another program sees it.
func isSetUp(t testing.TB, c *soft.Card, reader string) {
	t.Helper()
	if c.PINLeft() != 3 || c.PUKLeft() != 3 {
		t.Errorf("%d PIN tries and %d PUK tries left, want all", c.PINLeft(), c.PUKLeft())
	}
	raw(t, reader, func(y *yk.YubiKey) {
		m := must(y.Metadata(testPIN))(t)
		if m.ManagementKey == nil || len(*m.ManagementKey) != 24 || bytes.Equal(*m.ManagementKey, yk.DefaultManagementKey) {
			t.Fatal("no management key of 24 bytes under the PIN, or the factory's")
		}
		if _, err := y.GenerateKey(*m.ManagementKey, yk.SlotAuthentication, quick()); err != nil {
			t.Errorf("the stored management key: %v", err)
		}
		if _, err := y.GenerateKey(yk.DefaultManagementKey, yk.SlotAuthentication, quick()); err == nil {
			t.Error("the factory management key still works")
		}
		if err := y.VerifyPIN(yk.DefaultPIN); err == nil {
			t.Error("the factory PIN still works")
		}
		if err := y.SetPUK(testPUK, testPUK); err != nil {
			t.Errorf("the new PUK: %v", err)
		}
	})
}

func TestSetup(t *testing.T) {
	for _, firmware := range [][3]byte{{5, 7, 1}, {5, 4, 3}, {5, 2, 7}, {4, 3, 7}} {
		t.Run(fmt.Sprint(firmware), func(t *testing.T) {
			c := newCard(t, soft.Config{Serial: 1, Firmware: firmware})
			reader := plug(t, c)[0]
			b, ui := newBackend(t, Options{}), setupUI()
			token := must(b.Setup(t.Context(), uri(t, "piv:serial=1"), signer.SetupOptions{}, ui))(t)
			if token.Serial != "1" || !token.Initialized || token.PINTriesLeft != 3 {
				t.Errorf("token %+v", token)
			}
			isSetUp(t, c, reader)
			// The PIN is known now: making a key asks for nothing.
			if _, err := b.Generate(t.Context(), signer.Ref{URI: uri(t, "piv:serial=1;slot=9c")}, signer.GenerateOptions{}, ui); err != nil {
				t.Error(err)
			}
			for _, r := range ui.Secrets() {
				if r.Kind == signer.PIN {
					t.Error("asked for the PIN that was just set")
				}
			}
			count, asked := c.Count(), len(ui.Secrets())
			if _, err := b.Setup(t.Context(), uri(t, "piv:serial=1"), signer.SetupOptions{}, ui); !errors.Is(err, signer.ErrAlreadySetUp) {
				t.Errorf("again: %v, want ErrAlreadySetUp", err)
			}
			if len(ui.Secrets()) != asked || c.Count() == count {
				t.Error("asked for secrets of a card that is set up")
			}
			for _, line := range c.Trace() {
				if strings.Contains(line, fmt.Sprintf("%x", testPIN)) {
					t.Fatal("the trace of the test card shows the PIN: this test proves nothing")
				}
			}
		})
	}
}

func TestSetupRefusesFactorySecrets(t *testing.T) {
	c := newCard(t, soft.Config{Serial: 1})
	plug(t, c)
	for _, bad := range []map[signer.SecretKind]string{
		{signer.NewPIN: "123456", signer.NewPUK: testPUK},
		{signer.NewPIN: testPIN, signer.NewPUK: "12345678"},
		{signer.NewPIN: "12345678", signer.NewPUK: testPUK},
		{signer.NewPIN: "12345", signer.NewPUK: testPUK},
		{signer.NewPIN: testPIN, signer.NewPUK: "123456789"},
		{signer.NewPIN: "1234é6", signer.NewPUK: testPUK},
	} {
		_, err := newBackend(t, Options{}).Setup(t.Context(), uri(t, "piv:serial=1"), signer.SetupOptions{}, &signertest.UI{Answers: bad})
		if !errors.Is(err, signer.ErrPINInvalid) {
			t.Errorf("%v: error is %v, want ErrPINInvalid", bad, err)
		}
	}
	if c.PINLeft() != 3 || c.PUKLeft() != 3 {
		t.Error("tries were spent")
	}
	raw(t, must(yk.Cards())(t)[0], func(y *yk.YubiKey) {
		if err := y.VerifyPIN(yk.DefaultPIN); err != nil {
			t.Errorf("the card is not as it was: %v", err)
		}
	})
}

// TestSetupCrashMatrix pulls the card out before and after every command of a setup,
// then runs it again with the same answers, with a person there and unattended.
// Whatever the moment, the card ends up set up with all tries left. Where the first run
// failed after a change, its error says so.
func TestSetupCrashMatrix(t *testing.T) {
	arg, child := os.LookupEnv(envAlone)
	if !child {
		short := []string{"5.7.1 after script yubikey", "4.3.7 before person yubikey", "5.7.0 after script canokey"}
		whole := []string{
			"5.7.1 before person yubikey", "5.7.1 before script yubikey", "5.7.1 after person yubikey", "5.4.3 after script yubikey",
			"4.3.7 after script yubikey", "5.7.0 before person canokey", "5.7.0 before script canokey",
		}
		if os.Getenv("FLEET_HSM_LONG") != "" { // scripts/campaigns
			short = append(short, whole...)
		}
		for _, arg := range short {
			alone(t, arg)
		}
		return
	}
	var firmware [3]byte
	var when, who, kind string
	if _, err := fmt.Sscanf(arg, "%d.%d.%d %s %s %s", &firmware[0], &firmware[1], &firmware[2], &when, &who, &kind); err != nil {
		t.Fatal(err)
	}
	newUI := map[string]func() *signertest.UI{"person": setupUI, "script": unattendedUI}[who]
	ca := must(soft.NewCA(""))(t)
	for n := 0; ; n++ {
		done := false
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			cfg := soft.Config{Serial: uint32(n + 1), Firmware: firmware, CA: ca}
			if kind == "canokey" {
				cfg = soft.CanoKey(uint32(n + 1))
				cfg.CA = ca
			}
			c := newCard(t, cfg)
			reader := plug(t, c)[0]
			u := uri(t, "piv:").With("reader", reader)
			map[string]func(int){"before": c.RemoveAfter, "after": c.LoseAnswerAfter}[when](n)
			var first error
			soon(t, "setup", func() { _, first = newBackend(t, Options{}).Setup(t.Context(), u, signer.SetupOptions{}, newUI()) })
			c.RemoveAfter(-1)
			c.LoseAnswerAfter(-1)
			c.Insert()
			done = first == nil
			changed := c.IsChanged()
			var partial *signer.PartialError
			if said := errors.As(first, &partial); changed && !said && !done || said && !changed && partial.Maybe == "" {
				t.Errorf("changed: %v; the error says %v", changed, first)
			}
			_, err := newBackend(t, Options{}).Setup(t.Context(), u, signer.SetupOptions{}, newUI())
			if err != nil && !errors.Is(err, signer.ErrAlreadySetUp) {
				t.Fatalf("first run: %v; rerun: %v", first, err)
			}
			// A run that had nothing left to do but to look is done.
			if partial != nil && errors.Is(err, signer.ErrAlreadySetUp) && partial.Maybe == "" && !strings.Contains(first.Error(), "its new management key") {
				t.Errorf("all was done, and the first run said: %v", first)
			}
			isSetUp(t, c, reader)
		})
		if done || t.Failed() {
			if n < 15 {
				t.Errorf("only %d commands: the loop proves little", n)
			}
			return
		}
	}
}

// TestSetupOfATouchedCard: somebody changed PIN or PUK, not the management key.
func TestSetupOfATouchedCard(t *testing.T) {
	for _, tt := range []struct {
		name    string
		before  func(*yk.YubiKey) error
		present string
	}{
		{"PUK", func(y *yk.YubiKey) error { return y.SetPUK(yk.DefaultPUK, "87654321") }, ""},
		{"PIN", func(y *yk.YubiKey) error { return y.SetPIN(yk.DefaultPIN, "16180339") }, "16180339"},
		{"tries", func(y *yk.YubiKey) error {
			if err := y.SetRetries(yk.DefaultManagementKey, yk.DefaultPIN, 5, 5); err != nil {
				return err
			}
			return y.SetPIN(yk.DefaultPIN, "16180339")
		}, "16180339"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newCard(t, soft.Config{Serial: 1})
			reader := plug(t, c)[0]
			raw(t, reader, func(y *yk.YubiKey) {
				if err := tt.before(y); err != nil {
					t.Fatal(err)
				}
			})
			ui := setupUI()
			ui.Answers[signer.PIN] = tt.present
			must(newBackend(t, Options{}).Setup(t.Context(), uri(t, "piv:serial=1"), signer.SetupOptions{}, ui))(t)
			if tt.name == "tries" {
				if c.PINLeft() != 5 {
					t.Errorf("%d PIN tries, want the card's 5", c.PINLeft())
				}
				return
			}
			isSetUp(t, c, reader)
		})
	}
}

// TestSetupNeverBlocks: wrong answers, again and again, by scripts. The last try
// stays, and a card whose management key is the factory's is not lost.
func TestSetupNeverBlocks(t *testing.T) {
	c := newCard(t, soft.Config{Serial: 1})
	reader := plug(t, c)[0]
	raw(t, reader, func(y *yk.YubiKey) {
		if err := errors.Join(y.SetPIN(yk.DefaultPIN, "16180339"), y.SetPUK(yk.DefaultPUK, "87654321")); err != nil {
			t.Fatal(err)
		}
	})
	for range 6 {
		ui := unattendedUI()
		ui.Answers[signer.PIN] = wrongPIN
		if _, err := newBackend(t, Options{}).Setup(t.Context(), uri(t, "piv:serial=1"), signer.SetupOptions{}, ui); err == nil {
			t.Fatal("set up with a wrong PIN")
		}
		if c.PINLeft() < 1 || c.PUKLeft() < 3 {
			t.Fatalf("%d PIN tries, %d PUK tries left", c.PINLeft(), c.PUKLeft())
		}
	}
	if c.PINLeft() != 1 {
		t.Errorf("%d tries left: the loop proves little", c.PINLeft())
	}
	ui := setupUI()
	ui.Answers[signer.PIN] = "16180339"
	must(newBackend(t, Options{}).Setup(t.Context(), uri(t, "piv:serial=1"), signer.SetupOptions{}, ui))(t)
	isSetUp(t, c, reader)
}

func TestReset(t *testing.T) {
	c := newCard(t, soft.Config{Serial: 1})
	reader := plug(t, c)[0]
	must(newBackend(t, Options{}).Setup(t.Context(), uri(t, "piv:serial=1"), signer.SetupOptions{}, setupUI()))(t)
	raw(t, reader, func(y *yk.YubiKey) {
		for range 3 {
			_ = y.VerifyPIN(wrongPIN)
		}
	})
	b := newBackend(t, Options{})
	if _, err := b.Setup(t.Context(), uri(t, "piv:serial=1"), signer.SetupOptions{}, setupUI()); err == nil {
		t.Error("set up again without reset")
	}
	must(b.Setup(t.Context(), uri(t, "piv:serial=1"), signer.SetupOptions{Reset: true}, setupUI()))(t)
	isSetUp(t, c, reader)
}
