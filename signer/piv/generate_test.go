//go:build cgo

package piv

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	yk "github.com/go-piv/piv-go/v2/piv"

	"github.com/fleet-hsm/fleet-hsm/internal/wiresig"
	"github.com/fleet-hsm/fleet-hsm/signer"
	soft "github.com/fleet-hsm/fleet-hsm/softpiv/card"
)

// setUp is a card that went through Setup.
func setUp(t *testing.T, cfg soft.Config) (*soft.Card, string) {
	t.Helper()
	cfg.Serial = 1
	c := newCard(t, cfg)
	reader := plug(t, c)[0]
	u := uri(t, "piv:").With("reader", reader)
	must(newBackend(t, Options{}).Setup(t.Context(), u, signer.SetupOptions{}, setupUI()))(t)
	return c, reader
}

func ref9c(t *testing.T) signer.Ref {
	return signer.Ref{URI: uri(t, "piv:serial=1;slot=9c"), Roles: []string{"root"}}
}

func TestGenerate(t *testing.T) {
	for _, tt := range []struct {
		firmware [3]byte
		opts     signer.GenerateOptions
		pin      string
		touch    string
	}{
		{[3]byte{5, 7, 1}, signer.GenerateOptions{}, "always", "always"},
		{[3]byte{5, 7, 1}, signer.GenerateOptions{Algorithm: signer.RSA2048, PINPolicy: "never", TouchPolicy: "never"}, "never", "never"},
		{[3]byte{5, 7, 1}, signer.GenerateOptions{Algorithm: signer.RSA3072, PINPolicy: "once", TouchPolicy: "cached"}, "once", "cached"},
		{[3]byte{5, 4, 3}, signer.GenerateOptions{Algorithm: signer.P256}, "always", "always"},
		{[3]byte{4, 3, 7}, signer.GenerateOptions{}, "always", "always"},
	} {
		t.Run(fmt.Sprint(tt.firmware, tt.opts.Algorithm), func(t *testing.T) {
			c, reader := setUp(t, soft.Config{Firmware: tt.firmware})
			b, ui := newBackend(t, Options{}), person(testPIN)
			tt.opts.AttestationRoots = c.CAPEM()
			g := must(b.Generate(t.Context(), ref9c(t), tt.opts, ui))(t)
			if g.URI.String() != "piv:serial=1;slot=9c" || len(g.Public) != 1 {
				t.Fatalf("generated %+v", g)
			}
			a, err := b.VerifyAttestation(g.Attestation, c.CAPEM())
			if err != nil {
				t.Fatal(err)
			}
			if a.PINPolicy != tt.pin || a.TouchPolicy != tt.touch || a.Slot != "9c" || !signer.SamePublic(a.Public, g.Public[0]) {
				t.Errorf("attestation %+v", a)
			}
			for _, w := range g.Warnings {
				if !strings.Contains(w, "firmware") {
					t.Errorf("warning %q", w)
				}
			}
			raw(t, reader, func(y *yk.YubiKey) {
				cert := must(y.Certificate(yk.SlotSignature))(t)
				if !signer.SamePublic(cert.PublicKey, g.Public[0]) {
					t.Error("the slot's certificate is not of the key")
				}
			})
			s := open(t, b, signer.Ref{URI: g.URI, Pinned: g.Public[0]}, ui)
			if _, err := s.Sign(t.Context(), []byte("m")); err != nil {
				t.Error(err)
			}
			if n := len(ui.Secrets()); n != 1 {
				t.Errorf("asked %d times for the PIN", n)
			}
		})
	}
}

func TestGenerateRefusals(t *testing.T) {
	setUp(t, soft.Config{Firmware: [3]byte{5, 4, 3}})
	for _, tt := range []struct {
		opts signer.GenerateOptions
		want error
	}{
		{signer.GenerateOptions{Algorithm: signer.Ed25519}, signer.ErrUnsupported},
		{signer.GenerateOptions{Algorithm: "p384"}, signer.ErrUnsupported},
		{signer.GenerateOptions{Algorithm: signer.RSA4096}, signer.ErrUnsupported}, // firmware 5.4
		{signer.GenerateOptions{PINPolicy: "sometimes"}, signer.ErrUnsupported},
		{signer.GenerateOptions{TouchPolicy: "once"}, signer.ErrUnsupported},
		{signer.GenerateOptions{Count: 2}, signer.ErrUnsupported},
		{signer.GenerateOptions{AttestationRoots: must(soft.NewCA(""))(t).PEM()}, signer.ErrAttestation}, // another authority
		{signer.GenerateOptions{AttestationRoots: []byte("no PEM")}, signer.ErrAttestation},
	} {
		ui := person(testPIN)
		_, err := newBackend(t, Options{}).Generate(t.Context(), ref9c(t), tt.opts, ui)
		if !errors.Is(err, tt.want) {
			t.Errorf("%+v: error is %v, want %v", tt.opts, err, tt.want)
		}
		if len(ui.Secrets()) != 0 {
			t.Errorf("%+v: asked for the PIN first", tt.opts)
		}
	}
	if keys := must(newBackend(t, Options{}).Keys(t.Context(), ref9c(t), nil))(t); len(keys) != 0 {
		t.Errorf("the slot is in use: %+v", keys)
	}
}

// TestGenerateWithoutRoots: nobody vouches for the card. The key is made, and the
// person is told that nothing proves it.
func TestGenerateWithoutRoots(t *testing.T) {
	setUp(t, soft.Config{})
	g := must(newBackend(t, Options{}).Generate(t.Context(), ref9c(t), signer.GenerateOptions{}, person(testPIN)))(t)
	if len(g.Attestation) != 0 || len(g.Warnings) != 1 || !strings.Contains(g.Warnings[0], "nothing proves") {
		t.Errorf("attestation of %d bytes, warnings %q", len(g.Attestation), g.Warnings)
	}
}

func TestGenerateOnFactoryCard(t *testing.T) {
	plug(t, newCard(t, soft.Config{Serial: 1}))
	ui := person(yk.DefaultPIN)
	_, err := newBackend(t, Options{}).Generate(t.Context(), ref9c(t), signer.GenerateOptions{}, ui)
	if !errors.Is(err, signer.ErrNotSetUp) || len(ui.Secrets()) != 0 {
		t.Errorf("error is %v after %d questions, want ErrNotSetUp after none", err, len(ui.Secrets()))
	}
}

func TestOccupiedSlot(t *testing.T) {
	c, reader := setUp(t, soft.Config{})
	b, ui := newBackend(t, Options{}), person(testPIN)
	opts := signer.GenerateOptions{AttestationRoots: c.CAPEM(), KeyID: wiresig.Fingerprint}
	first := must(b.Generate(t.Context(), ref9c(t), opts, ui))(t)
	for _, overwrite := range []string{"", "yes", wiresig.Fingerprint(first.Public[0])[:8]} {
		opts.Overwrite = overwrite
		if _, err := b.Generate(t.Context(), ref9c(t), opts, ui); !errors.Is(err, signer.ErrKeyExists) {
			t.Errorf("overwrite %q: error is %v, want ErrKeyExists", overwrite, err)
		}
	}
	opts.Overwrite = wiresig.Fingerprint(first.Public[0])
	second := must(b.Generate(t.Context(), ref9c(t), opts, ui))(t)
	if signer.SamePublic(first.Public[0], second.Public[0]) {
		t.Error("the key is still the old one")
	}
	raw(t, reader, func(y *yk.YubiKey) {
		if cert := must(y.Certificate(yk.SlotSignature))(t); !signer.SamePublic(cert.PublicKey, second.Public[0]) {
			t.Error("the certificate of the old key stayed in the slot")
		}
	})
	if _, err := b.Generate(t.Context(), ref9c(t), opts, ui); !errors.Is(err, signer.ErrKeyExists) {
		t.Errorf("the old key ID overwrites the new key: %v", err)
	}
}

// TestUnknownKeyInSlot: a key that the card does not show is not overwritten.
func TestUnknownKeyInSlot(t *testing.T) {
	c := newCard(t, soft.Config{Serial: 1, Firmware: [3]byte{4, 3, 7}})
	reader := plug(t, c)[0]
	private := importKey(t, reader, yk.SlotSignature, quick())
	must(newBackend(t, Options{}).Setup(t.Context(), uri(t, "piv:serial=1"), signer.SetupOptions{}, setupUI()))(t)
	ui := person(testPIN)
	b := newBackend(t, Options{})
	if _, err := b.Generate(t.Context(), ref9c(t), signer.GenerateOptions{TouchPolicy: "never"}, ui); !errors.Is(err, signer.ErrKeyExists) {
		t.Errorf("error is %v, want ErrKeyExists", err)
	}
	ref := ref9c(t)
	ref.Pinned = private.Public()
	if _, err := openAndSign(t.Context(), b, ref); err != nil {
		t.Errorf("the imported key is gone: %v", err)
	}
	ref.URI = ref.URI.With("slot", "82")
	if _, err := b.Generate(t.Context(), ref, signer.GenerateOptions{}, ui); err != nil {
		t.Errorf("an empty slot: %v", err)
	}
}

// TestOtherVendor: a card that is named by its reader, without serial number,
// metadata, attestation and touch.
func TestOtherVendor(t *testing.T) {
	c, _ := setUp(t, soft.Config{OtherVendor: true})
	c.Reset() // such a card goes on knowing the PIN after Setup, and tells no tries
	b, ui := newBackend(t, Options{}), person(testPIN)
	ref := signer.Ref{URI: uri(t, "piv:reader=acme;slot=9c")}
	if _, err := b.Generate(t.Context(), ref, signer.GenerateOptions{}, ui); !errors.Is(err, signer.ErrUnsupported) || !strings.Contains(err.Error(), "touch policy always") {
		t.Errorf("a touch policy that the card lacks: %v", err)
	}
	g := must(b.Generate(t.Context(), ref, signer.GenerateOptions{TouchPolicy: "never"}, ui))(t)
	if g.URI.String() != ref.URI.String() || len(g.Attestation) != 0 || len(g.Warnings) != 1 {
		t.Errorf("generated %+v", g)
	}
	// The card tells of the key only through the certificate that was stored.
	s := open(t, newBackend(t, Options{}), ref, ui)
	if !signer.SamePublic(s.Public(), g.Public[0]) {
		t.Error("another key")
	}
	if _, err := s.Sign(t.Context(), []byte("m")); err != nil {
		t.Error(err)
	}
	if r := ui.Secrets()[0]; r.TriesLeft != 5 || r.Note != "" && strings.Contains(r.Note, "FIDO2") {
		t.Errorf("the question says %+v", r)
	}
	if _, err := b.Generate(t.Context(), ref, signer.GenerateOptions{TouchPolicy: "never"}, ui); !errors.Is(err, signer.ErrKeyExists) {
		t.Errorf("again: %v, want ErrKeyExists", err)
	}
	if _, err := b.Attest(t.Context(), ref, nil); !errors.Is(err, signer.ErrUnsupported) {
		t.Errorf("attest: %v, want ErrUnsupported", err)
	}
	if _, err := b.Open(t.Context(), signer.Ref{URI: uri(t, "piv:slot=9c")}, ui); !errors.Is(err, signer.ErrNoToken) {
		t.Errorf("without its name: %v, want ErrNoToken", err)
	}
}

// TestGenerateCrash pulls the card out at every command. The rerun finishes, or
// names the key that is in the slot already, which then signs.
func TestGenerateCrash(t *testing.T) {
	when, child := os.LookupEnv(envAlone)
	if !child {
		alone(t, "before")
		alone(t, "after")
		return
	}
	c, _ := setUp(t, soft.Config{})
	knob := map[string]func(int){"before": c.RemoveAfter, "after": c.LoseAnswerAfter}[when]
	opts := signer.GenerateOptions{AttestationRoots: c.CAPEM(), KeyID: wiresig.Fingerprint, TouchPolicy: "never"}
	for n := 0; ; n++ {
		ref := ref9c(t)
		ref.URI = ref.URI.With("slot", fmt.Sprintf("%x", 0x82+n%20))
		knob(n)
		var err error
		soon(t, "generate", func() { _, err = newBackend(t, Options{}).Generate(t.Context(), ref, opts, person(testPIN)) })
		knob(-1)
		c.Insert()
		if err == nil {
			if n < 20 {
				t.Errorf("only %d commands", n)
			}
			return
		}
		if !errors.Is(err, signer.ErrNoToken) {
			t.Fatalf("command %d: %v, want ErrNoToken", n, err)
		}
		b := newBackend(t, Options{})
		_, err = b.Generate(t.Context(), ref, opts, person(testPIN))
		if err != nil && !errors.Is(err, signer.ErrKeyExists) {
			t.Fatalf("command %d, rerun: %v", n, err)
		}
		if _, err := openAndSign(t.Context(), b, ref); err != nil {
			t.Fatalf("command %d, signing: %v", n, err)
		}
		opts.Overwrite = ""
		if n%20 == 19 { // all retired slots are used up: start over
			must(newBackend(t, Options{}).Setup(t.Context(), uri(t, "piv:serial=1"), signer.SetupOptions{Reset: true}, setupUI()))(t)
		}
	}
}

func TestAttest(t *testing.T) {
	for _, firmware := range [][3]byte{{5, 7, 1}, {4, 3, 7}} {
		c, reader := setUp(t, soft.Config{Firmware: firmware})
		b, ui := newBackend(t, Options{}), person(testPIN)
		g := must(b.Generate(t.Context(), ref9c(t), signer.GenerateOptions{AttestationRoots: c.CAPEM()}, ui))(t)
		ref := ref9c(t)
		ref.Pinned = g.Public[0]
		a := must(b.Attest(t.Context(), ref, c.CAPEM()))(t)
		if firmware[0] == 5 && a.Serial != "1" || a.Slot != "9c" || a.Firmware != fmt.Sprintf("%d.%d.%d", firmware[0], firmware[1], firmware[2]) || a.Root == "" || a.NotBefore.After(time.Now()) {
			t.Errorf("attestation %+v", a)
		}
		if _, err := b.Attest(t.Context(), ref, nil); !errors.Is(err, signer.ErrAttestation) {
			t.Errorf("without the card's authority: %v, want ErrAttestation", err)
		}
		if _, err := b.VerifyAttestation(a.Chain, nil); !errors.Is(err, signer.ErrAttestation) {
			t.Errorf("stored, without the card's authority: %v, want ErrAttestation", err)
		}
		info := must(b.Describe(t.Context(), ref, nil))(t)
		if info.Origin != "generated" || info.PINPolicy != "always" || info.TouchPolicy != "always" || info.Problem != "" {
			t.Errorf("described as %+v", info)
		}
		raw(t, reader, func(y *yk.YubiKey) {
			m := must(y.Metadata(testPIN))(t)
			must(y.GenerateKey(*m.ManagementKey, yk.SlotSignature, quick()))(t)
		})
		if _, err := b.Attest(t.Context(), ref, c.CAPEM()); !errors.Is(err, signer.ErrKeyChanged) {
			t.Errorf("another key in the slot: %v, want ErrKeyChanged", err)
		}
	}
}

func TestTokensKeysAndFind(t *testing.T) {
	c, factory := newCard(t, soft.Config{Serial: 1, Firmware: [3]byte{5, 4, 3}}), newCard(t, soft.Config{Serial: 2})
	plug(t, c, factory)
	must(newBackend(t, Options{}).Setup(t.Context(), uri(t, "piv:serial=1"), signer.SetupOptions{}, setupUI()))(t)
	b, ui := newBackend(t, Options{}), person(testPIN)
	ref := ref9c(t)
	g := must(b.Generate(t.Context(), ref, signer.GenerateOptions{}, ui))(t)
	ref.URI = ref.URI.With("slot", "95")
	must(b.Generate(t.Context(), ref, signer.GenerateOptions{Algorithm: signer.RSA2048, PINPolicy: "once", TouchPolicy: "never"}, ui))(t)
	tokens := must(b.Tokens(t.Context(), uri(t, "piv:")))(t)
	if len(tokens) != 2 {
		t.Fatalf("%d tokens", len(tokens))
	}
	one, two := tokens[0], tokens[1]
	if one.Serial != "1" || one.Firmware != "5.4.3" || one.PINTriesLeft != 3 || !slices.Equal(one.Slots, []string{"9c", "95"}) || !one.Initialized || one.URI.String() != "piv:serial=1" {
		t.Errorf("token %+v", one)
	}
	if !slices.ContainsFunc(one.Warnings, func(w string) bool { return strings.Contains(w, "YSA-2024-03") }) {
		t.Errorf("warnings %q say nothing of YSA-2024-03", one.Warnings)
	}
	if two.Initialized || len(two.Warnings) != 1 || !strings.Contains(two.Warnings[0], "factory") || len(two.Slots) != 0 {
		t.Errorf("a factory card: %+v", two)
	}
	if only := must(b.Tokens(t.Context(), uri(t, "piv:serial=0002")))(t); len(only) != 1 || only[0].Serial != "2" {
		t.Errorf("one card: %+v", only)
	}
	keys := must(b.Keys(t.Context(), signer.Ref{URI: uri(t, "piv:serial=1")}, nil))(t)
	if len(keys) != 2 || keys[0].Algorithm != signer.P256 || keys[1].Algorithm != signer.RSA2048 || keys[1].PINPolicy != "once" || keys[1].TouchPolicy != "never" {
		t.Errorf("keys %+v", keys)
	}
	if _, ok := keys[0].Public.(*ecdsa.PublicKey); !ok {
		t.Errorf("public key %T", keys[0].Public)
	}
	if _, ok := keys[1].Public.(*rsa.PublicKey); !ok {
		t.Errorf("public key %T", keys[1].Public)
	}
	if found := must(b.Find(t.Context(), g.Public[0]))(t); found.String() != "piv:serial=1;slot=9c" {
		t.Errorf("found %s", found)
	}
	other := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	if found := must(b.Find(t.Context(), other.Public()))(t); !found.IsZero() {
		t.Errorf("found what is not there: %s", found)
	}
}

func TestProbe(t *testing.T) {
	c, ref := oneCard(t, soft.Config{Firmware: [3]byte{5, 4, 3}})
	b := newBackend(t, Options{})
	codes := func(ref signer.Ref) map[string]bool {
		m := map[string]bool{}
		for _, f := range b.Probe(t.Context(), ref) {
			m[f.Code] = f.OK
			if f.Text == "" {
				t.Errorf("finding %q says nothing", f.Code)
			}
		}
		return m
	}
	got := codes(ref)
	for code, ok := range map[string]bool{
		"pcsc-daemon": true, "card-present": true, "card-firmware": true, "card-factory-settings": false,
		"card-pin-tries": true, "key-present": true, "key-expected": true,
	} {
		if have, there := got[code]; !there || have != ok {
			t.Errorf("%s: %v, %v; want %v", code, have, there, ok)
		}
	}
	absent := ref
	absent.URI = ref.URI.With("serial", "7")
	if got := codes(absent); got["card-present"] {
		t.Error("a card that is absent is present")
	}
	absent.URI = ref.URI.With("slot", "9a")
	if got, there := codes(absent)["key-present"]; got || !there {
		t.Error("a slot that is empty holds a key")
	}
	raw(t, must(yk.Cards())(t)[0], func(y *yk.YubiKey) {
		_ = y.VerifyPIN(wrongPIN)
		_ = y.VerifyPIN(wrongPIN)
	})
	if got, there := codes(ref)["card-pin-tries"]; got || !there {
		t.Error("one try left is no finding")
	}
	if c.PINLeft() != 1 {
		t.Errorf("%d tries left", c.PINLeft())
	}
}
