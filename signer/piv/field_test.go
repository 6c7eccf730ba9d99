//go:build cgo

package piv

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	yk "github.com/go-piv/piv-go/v2/piv"

	"github.com/fleet-hsm/fleet-hsm/internal/wiresig"
	"github.com/fleet-hsm/fleet-hsm/signer"
	"github.com/fleet-hsm/fleet-hsm/signer/signertest"
	soft "github.com/fleet-hsm/fleet-hsm/softpiv/card"
)

// What the field reports of cards. A new report is a quirk of package card and a line here.

// rawDirect runs f with a connection of this package, without a visit around it.
func rawDirect(t testing.TB, reader string, f func(*direct)) {
	t.Helper()
	s := &session{ctx: t.Context(), b: New(Options{}), reader: reader, touch: func() {}}
	if err := s.direct(card{reader: reader}, func(d *direct) error { f(d); return nil }); err != nil {
		t.Fatal(err)
	}
}

// TestTransmit: commands and answers in one piece and in several.
func TestTransmit(t *testing.T) {
	c := newCard(t, soft.Config{Serial: 77})
	rawDirect(t, plug(t, c)[0], func(d *direct) {
		answer, err := d.transmit(0xF8, 0, 0, nil) // GET SERIAL
		if err != nil || hex.EncodeToString(answer) != "0000004d" {
			t.Errorf("serial number %x, %v", answer, err)
		}
		if _, err := d.transmit(0xEE, 0, 0, nil); status(err) != statusUnknownINS {
			t.Errorf("an unknown command: %v", err)
		}
		long := make([]byte, 2000) // in pieces, there and back
		if ok, err := d.authenticate(factoryKey()); !ok || err != nil {
			t.Fatal(ok, err)
		}
		if err := d.putData(0xC10D, long); err != nil {
			t.Fatal(err)
		}
		if back, err := d.getData(0xC10D); err != nil || len(back) != len(long) {
			t.Errorf("%d bytes back, %v", len(back), err)
		}
		c.Remove()
		if _, err := d.transmit(0xF8, 0, 0, nil); pcscCode(err) == 0 {
			t.Errorf("a card that is gone: %v", err)
		}
	})
}

// TestFieldCards: each can be set up and used, whatever it lacks; a second setup says that
// it is set up.
func TestFieldCards(t *testing.T) {
	yubikey := func(lacks soft.Feature, quirks soft.Quirk) soft.Config {
		return soft.Config{Serial: 1, Lacks: lacks, Quirks: quirks}
	}
	for _, tt := range []struct {
		name  string
		cfg   soft.Config
		touch string
	}{
		{"CanoKey", soft.CanoKey(1), "always"},
		{"PivApplet", soft.PivApplet(), "never"},
		{"plain PIV", soft.Config{OtherVendor: true, Lacks: soft.PolicyTags | soft.RetryCounters}, "never"},
		{"PIN before key, no metadata", soft.Config{OtherVendor: true, Quirks: soft.PINBeforeKey}, "never"},
		{"no metadata of the management key", yubikey(0, soft.BlankManagement), "always"},
		{"no AES management key", yubikey(soft.AESManagement, 0), "always"},
		{"no AES management key, unsaid", yubikey(soft.AESManagement, soft.BlankManagement), "always"},
		{"no SET PIN RETRIES", yubikey(soft.RetryCounters, 0), "always"},
		{"complexity", yubikey(0, soft.PINComplexity), "always"},
		{"forgets between connections", yubikey(0, soft.ForgetsOnSelect), "always"},
		{"forgets, plain PIV", soft.Config{OtherVendor: true, Lacks: soft.PolicyTags, Quirks: soft.ForgetsOnSelect}, "never"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newCard(t, tt.cfg)
			u := uri(t, "piv:").With("reader", plug(t, c)[0])
			b, ui := newBackend(t, Options{}), setupUI()
			if token := must(b.Setup(t.Context(), u, signer.SetupOptions{}, ui))(t); !token.Initialized {
				t.Errorf("token %+v", token)
			}
			slot := u.With("slot", "9c")
			g := must(b.Generate(t.Context(), signer.Ref{URI: slot}, signer.GenerateOptions{TouchPolicy: tt.touch, PINPolicy: "always"}, ui))(t)
			if all := strings.Join(g.Warnings, "\n"); strings.Contains(all, "no certificate was stored") || strings.Contains(all, "was not stored") {
				t.Errorf("warnings %q", g.Warnings)
			}
			s := open(t, b, signer.Ref{URI: g.URI, Pinned: g.Public[0]}, ui)
			sig := must(s.Sign(t.Context(), []byte("m")))(t)
			if err := wiresig.Verify(g.Public[0], []byte("m"), sig); err != nil {
				t.Error(err)
			}
			if c.PINLeft() < 3 || c.PUKLeft() < 3 {
				t.Errorf("%d PIN tries and %d PUK tries left", c.PINLeft(), c.PUKLeft())
			}
			if _, err := b.Generate(t.Context(), signer.Ref{URI: slot}, signer.GenerateOptions{TouchPolicy: "never"}, ui); !errors.Is(err, signer.ErrKeyExists) {
				t.Errorf("a second key in the slot: %v", err)
			}
			if _, err := b.Setup(t.Context(), u, signer.SetupOptions{}, setupUI()); !errors.Is(err, signer.ErrAlreadySetUp) {
				t.Errorf("again: %v, want ErrAlreadySetUp", err)
			}
			var partial *signer.PartialError
			if _, err := b.Setup(t.Context(), u, signer.SetupOptions{}, setupUI()); errors.As(err, &partial) {
				t.Errorf("says that something is changed: %v", err)
			}
		})
	}
}

// TestFieldCardsRerun: a setup that was cut short is finished by the same answers, on cards
// that cannot go back to the factory's PIN and PUK; and with another PUK, which stays.
func TestFieldCardsRerun(t *testing.T) {
	for _, tt := range []struct {
		name string
		cfg  soft.Config
		puk  string
		kept bool
	}{
		{"CanoKey", soft.CanoKey(1), testPUK, false},
		{"CanoKey, PUK of somebody", soft.CanoKey(1), "87654321", true},
		{"plain PIV", soft.Config{OtherVendor: true, Lacks: soft.RetryCounters}, testPUK, false},
		{"plain PIV, PUK of somebody", soft.Config{OtherVendor: true, Lacks: soft.RetryCounters}, "87654321", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			reader := plug(t, newCard(t, tt.cfg))[0]
			raw(t, reader, func(y *yk.YubiKey) {
				if err := errors.Join(y.SetPUK(yk.DefaultPUK, tt.puk), y.SetPIN(yk.DefaultPIN, testPIN)); err != nil {
					t.Fatal(err)
				}
			})
			token := must(newBackend(t, Options{}).Setup(t.Context(), uri(t, "piv:").With("reader", reader), signer.SetupOptions{}, setupUI()))(t)
			if kept := strings.Contains(strings.Join(token.Warnings, "\n"), "PUK was left as it is"); kept != tt.kept {
				t.Errorf("warnings %q", token.Warnings)
			}
			raw(t, reader, func(y *yk.YubiKey) {
				if err := y.SetPUK(tt.puk, tt.puk); err != nil {
					t.Errorf("the PUK: %v", err)
				}
			})
		})
	}
}

// TestSetupSaysWhatIsChanged: the error of a later step names what was changed before it.
func TestSetupSaysWhatIsChanged(t *testing.T) {
	for _, tt := range []struct {
		name string
		cfg  soft.Config
		want string // what is changed
		text string
	}{
		{"nowhere to keep the key", soft.Config{Serial: 1, Lacks: soft.PrintedObject}, "PUK PIN", "storing the new management key"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			plug(t, newCard(t, tt.cfg))
			_, err := newBackend(t, Options{}).Setup(t.Context(), uri(t, "piv:serial=1"), signer.SetupOptions{}, setupUI())
			var partial *signer.PartialError
			if !errors.As(err, &partial) || strings.Join(partial.Done, " ") != tt.want || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("error is %v", err)
			}
		})
	}
}

// setManagement gives a card a management key of somebody's.
func setManagement(t *testing.T, reader string, kind byte, key string, touch bool) {
	t.Helper()
	rawDirect(t, reader, func(d *direct) {
		if ok, err := d.authenticate(factoryKey()); !ok || err != nil {
			t.Fatal(ok, err)
		}
		b := must(hex.DecodeString(key))(t)
		p2 := byte(0xFF)
		if touch {
			p2 = 0xFE
		}
		if _, err := d.transmit(insSetManagement, 0xFF, p2, append([]byte{kind, refManagement, byte(len(b))}, b...)); err != nil {
			t.Fatal(err)
		}
	})
}

// TestManagementKeys: every kind, kept by somebody else and not on the card. It can be given
// to generate, or to setup, which then keeps one of its own on the card.
func TestManagementKeys(t *testing.T) {
	for _, tt := range []struct {
		name  string
		cfg   soft.Config
		kind  byte
		key   string
		touch bool
	}{
		{"3DES", soft.Config{}, kind3DES, strings.Repeat("1122334455667788", 3), false},
		{"AES-128", soft.Config{}, kindAES128, strings.Repeat("ab", 16), false},
		{"AES-192", soft.Config{}, kindAES192, strings.Repeat("cd", 24), false},
		{"AES-256", soft.Config{}, kindAES256, strings.Repeat("ef", 32), false},
		{"AES-256, unsaid", soft.Config{Quirks: soft.BlankManagement}, kindAES256, strings.Repeat("ef", 32), false},
		{"AES-192 on 5.4", soft.Config{Firmware: [3]byte{5, 4, 3}}, kindAES192, strings.Repeat("cd", 24), false},
		{"3DES on 4.3", soft.Config{Firmware: [3]byte{4, 3, 7}}, kind3DES, strings.Repeat("1122334455667788", 3), false},
		{"with a touch", soft.Config{}, kindAES192, strings.Repeat("cd", 24), true},
		{"forgets between connections", soft.Config{Quirks: soft.ForgetsOnSelect}, kindAES256, strings.Repeat("ef", 32), false},
		{"3DES of a CanoKey", soft.CanoKey(1), kind3DES, strings.Repeat("1122334455667788", 3), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.cfg.Serial = 1
			c := newCard(t, tt.cfg)
			reader := plug(t, c)[0]
			raw(t, reader, func(y *yk.YubiKey) {
				if err := y.SetPIN(yk.DefaultPIN, testPIN); err != nil {
					t.Fatal(err)
				}
			})
			setManagement(t, reader, tt.kind, tt.key, tt.touch)
			u := uri(t, "piv:").With("reader", reader)
			ref := signer.Ref{URI: u.With("slot", "9c")}
			opts := signer.GenerateOptions{TouchPolicy: "never"}

			if _, err := newBackend(t, Options{}).Setup(t.Context(), u, signer.SetupOptions{}, setupUI()); !errors.Is(err, signer.ErrAlreadySetUp) ||
				!strings.Contains(err.Error(), "only the PIN shows") {
				t.Errorf("setup without the key: %v", err)
			}
			if _, err := newBackend(t, Options{}).Generate(t.Context(), ref, opts, person(testPIN)); !errors.Is(err, signer.ErrManagement) {
				t.Errorf("generate without the key: %v, want ErrManagement", err)
			}
			with := func(key string) *signertest.UI {
				ui := setupUI()
				ui.Answers[signer.ManagementKey] = key
				return ui
			}
			for _, wrong := range []string{strings.Repeat("00", len(tt.key)/2-1) + "11", "not hexadecimal, but as long as one"} {
				if _, err := newBackend(t, Options{}).Generate(t.Context(), ref, opts, with(wrong)); !errors.Is(err, signer.ErrManagement) {
					t.Errorf("generate with %q: %v, want ErrManagement", wrong, err)
				}
			}
			must(newBackend(t, Options{}).Generate(t.Context(), ref, opts, with(tt.key)))(t)
			b := newBackend(t, Options{})
			must(b.Setup(t.Context(), u, signer.SetupOptions{ManagementKey: true}, with(tt.key)))(t)
			ref.URI = u.With("slot", "9a")
			must(b.Generate(t.Context(), ref, opts, setupUI()))(t)
			if c.PINLeft() != 3 || c.PUKLeft() != 3 {
				t.Errorf("%d PIN tries and %d PUK tries left", c.PINLeft(), c.PUKLeft())
			}
		})
	}
}

// TestManagementKeyTouch: nobody touches a card whose management key wants it. That is said,
// and is not a wrong key; looking at the card asks for no touch.
func TestManagementKeyTouch(t *testing.T) {
	c := newCard(t, soft.Config{Serial: 1, TouchTimeout: 1100 * time.Millisecond})
	reader := plug(t, c)[0]
	c.SetTouch(soft.TouchNobody, 0)
	b := newBackend(t, Options{})
	setManagement(t, reader, kindAES192, strings.Repeat("0102030405060708", 3), true)
	started := time.Now()
	if tokens := must(b.Tokens(t.Context(), uri(t, "piv:")))(t); tokens[0].Initialized || time.Since(started) > time.Second {
		t.Errorf("listing waited for a touch (%s), or took the factory's key for another: %+v", time.Since(started), tokens)
	}
	c.SetTouch(soft.TouchAuto, 0) // the key that is replaced wants one
	setManagement(t, reader, kindAES192, strings.Repeat("cd", 24), true)
	c.SetTouch(soft.TouchNobody, 0)
	ui := setupUI()
	ui.Answers[signer.ManagementKey] = strings.Repeat("cd", 24)
	_, err := b.Setup(t.Context(), uri(t, "piv:serial=1"), signer.SetupOptions{ManagementKey: true}, ui)
	if !errors.Is(err, signer.ErrTouchTimeout) {
		t.Errorf("error is %v, want ErrTouchTimeout", err)
	}
	if len(ui.Touches()) == 0 {
		t.Error("nobody was told to touch it")
	}
}

// TestComplexity: the card's policy refuses simple PINs and PUKs. Which one is said, before
// either is changed.
func TestComplexity(t *testing.T) {
	for _, tt := range []struct {
		name     string
		quirks   soft.Quirk
		firmware [3]byte
		pin, puk string
		refused  string
	}{
		{"simple PIN", soft.PINComplexity, [3]byte{5, 7, 1}, "111111", testPUK, "new PIN"},
		{"common PIN", soft.PINComplexity, [3]byte{5, 7, 1}, "123123", testPUK, "new PIN"},
		{"simple PUK", soft.PINComplexity, [3]byte{5, 7, 1}, testPIN, "77777777", "new PUK"},
		{"common PUK", soft.PINComplexity, [3]byte{5, 7, 1}, testPIN, "654321", "new PUK"},
		{"no policy", 0, [3]byte{5, 7, 1}, "111111", "77777777", ""},
		{"before 5.7", 0, [3]byte{5, 4, 3}, "111111", "77777777", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newCard(t, soft.Config{Serial: 1, Firmware: tt.firmware, Quirks: tt.quirks})
			reader := plug(t, c)[0]
			ui := &signertest.UI{Answers: map[signer.SecretKind]string{signer.NewPIN: tt.pin, signer.NewPUK: tt.puk}}
			_, err := newBackend(t, Options{}).Setup(t.Context(), uri(t, "piv:serial=1"), signer.SetupOptions{}, ui)
			if tt.refused == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if !errors.Is(err, signer.ErrPINTooSimple) || !strings.Contains(err.Error(), tt.refused) || !strings.Contains(err.Error(), "complexity") {
				t.Errorf("error is %v", err)
			}
			raw(t, reader, func(y *yk.YubiKey) {
				if err := errors.Join(y.VerifyPIN(yk.DefaultPIN), y.SetPUK(yk.DefaultPUK, testPUK)); err != nil {
					t.Errorf("something was changed: %v", err)
				}
			})
		})
	}
}

// TestComplexityOfTheCard: a rule that only the card knows. What is changed is said.
func TestComplexityOfTheCard(t *testing.T) {
	err := refusedNew(signer.NewPUK, statusError(statusConditions))
	if !errors.Is(err, signer.ErrPINTooSimple) || !strings.Contains(err.Error(), "new PUK") {
		t.Errorf("error is %v", err)
	}
}

type statusError uint16

func (e statusError) Error() string  { return "status word" }
func (e statusError) Status() uint16 { return uint16(e) }
