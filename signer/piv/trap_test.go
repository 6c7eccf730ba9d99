//go:build cgo

package piv

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	yk "github.com/go-piv/piv-go/v2/piv"

	"github.com/fleet-hsm/fleet-hsm/internal/wiresig"
	"github.com/fleet-hsm/fleet-hsm/signer"
	"github.com/fleet-hsm/fleet-hsm/signer/signertest"
	soft "github.com/fleet-hsm/fleet-hsm/softpiv/card"
)

// The traps of piv-go v2.6.0, one test each.

func TestPCSCCode(t *testing.T) {
	c := newCard(t, soft.Config{})
	reader := plug(t, c)[0]
	raw(t, reader, func(*yk.YubiKey) {
		_, err := yk.Open(reader)
		if got := pcscCode(err); got != codeSharing {
			t.Errorf("code of %v is %#x, want %#x", err, got, codeSharing)
		}
	})
	c.Remove()
	_, err := yk.Open(reader)
	if got := pcscCode(err); got != codeUnknownReader {
		t.Errorf("code of %v is %#x, want %#x", err, got, codeUnknownReader)
	}
	if pcscCode(errors.New("rc")) != 0 || pcscCode(nil) != 0 {
		t.Error("a code in an error that has none")
	}
}

func TestBusyForAMomentIsWaitedFor(t *testing.T) {
	c, ref := oneCard(t, soft.Config{})
	b := newBackend(t, Options{})
	c.SetBusy(2)
	s := open(t, b, ref, person(testPIN))
	c.SetBusy(2)
	if _, err := s.Sign(t.Context(), []byte("m")); err != nil {
		t.Fatal(err)
	}
}

func TestHeldByAnotherProgram(t *testing.T) {
	_, ref := oneCard(t, soft.Config{})
	b := newBackend(t, Options{BusyFor: 250 * time.Millisecond})
	ui := person(testPIN)
	s := open(t, b, ref, ui)
	readers := must(yk.Cards())(t)
	raw(t, readers[0], func(*yk.YubiKey) {
		for _, f := range []func() error{
			func() error { _, err := b.Open(t.Context(), ref, ui); return err },
			func() error { _, err := s.Sign(t.Context(), []byte("m")); return err },
			func() error { _, err := b.Find(t.Context(), ref.Pinned); return err },
			func() error { return b.Probe(t.Context(), ref)[1].Err },
		} {
			if err := f(); !errors.Is(err, signer.ErrBusy) {
				t.Errorf("error is %v, want ErrBusy", err)
			}
		}
		tokens := must(b.Tokens(t.Context(), uri(t, "piv:")))(t)
		if len(tokens) != 1 || !strings.Contains(tokens[0].Problem, signer.ErrBusy.Error()) {
			t.Errorf("tokens %+v, want one with the problem that it is busy", tokens)
		}
	})
	if n := len(ui.Secrets()); n != 0 {
		t.Errorf("asked %d times for the PIN of a card that could not be reached", n)
	}
	if _, err := s.Sign(t.Context(), []byte("m")); err != nil {
		t.Errorf("after the other program let go: %v", err)
	}
}

func TestOnlyYubiKeysAreTouched(t *testing.T) {
	other, c := newCard(t, soft.Config{OtherVendor: true}), newCard(t, soft.Config{Serial: 1})
	readers := plug(t, other, c)
	pub := provision(t, readers[1], yk.SlotSignature, quick())
	b := newBackend(t, Options{})
	ref := signer.Ref{URI: uri(t, "piv:slot=9c")}
	open(t, b, ref, person(testPIN))
	if _, err := b.Find(t.Context(), pub); err != nil {
		t.Fatal(err)
	}
	b.Probe(t.Context(), ref)
	tokens := must(b.Tokens(t.Context(), uri(t, "piv:")))(t)
	if n := other.Count(); n != 0 {
		t.Errorf("a card that is no YubiKey got %d commands", n)
	}
	if len(tokens) != 2 || tokens[1].Problem == "" || !strings.Contains(tokens[1].Problem, "piv:reader=ACME") {
		t.Errorf("tokens %+v, want the other reader with a hint how to name it", tokens)
	}
}

func TestCardWithoutPIV(t *testing.T) {
	if alone(t, "") {
		return
	}
	broken, c := newCard(t, soft.Config{Serial: 1}), newCard(t, soft.Config{Serial: 2})
	readers := plug(t, broken, c)
	provision(t, readers[1], yk.SlotSignature, quick())
	broken.SetNoPIV(true)
	b := newBackend(t, Options{BusyFor: 250 * time.Millisecond})
	for range 2 { // piv-go leaves the first one connected
		open(t, b, signer.Ref{URI: uri(t, "piv:serial=2;slot=9c")}, person(testPIN))
	}
	_, err := b.Open(t.Context(), signer.Ref{URI: uri(t, "piv:reader="+"CCID%2000%2000;slot=9c")}, person(testPIN))
	if err == nil {
		t.Fatal("opened a card without PIV")
	}
}

func TestCardIsFreeWhileAPersonTypes(t *testing.T) {
	_, ref := oneCard(t, soft.Config{})
	readers := must(yk.Cards())(t)
	ui := &signertest.UI{Ask: func(context.Context, signer.SecretRequest) (string, error) {
		raw(t, readers[0], func(*yk.YubiKey) {})
		return testPIN, nil
	}}
	s := open(t, newBackend(t, Options{}), ref, ui)
	raw(t, readers[0], func(*yk.YubiKey) {}) // and after Open
	if _, err := s.Sign(t.Context(), []byte("m")); err != nil {
		t.Fatal(err)
	}
	raw(t, readers[0], func(*yk.YubiKey) {}) // and after Sign
}

// TestTriesOfAVerifiedPIN: another program left the PIN verified; the card then tells
// no number, and piv-go's Retries fails.
func TestTriesOfAVerifiedPIN(t *testing.T) {
	for _, firmware := range [][3]byte{{5, 7, 1}, {4, 3, 7}} {
		_, ref := oneCard(t, soft.Config{Firmware: firmware})
		readers := must(yk.Cards())(t)
		raw(t, readers[0], func(y *yk.YubiKey) {
			if err := y.VerifyPIN(testPIN); err != nil {
				t.Fatal(err)
			}
		})
		ui := person(testPIN)
		s := open(t, newBackend(t, Options{}), ref, ui)
		raw(t, readers[0], func(y *yk.YubiKey) { _ = y.VerifyPIN(testPIN) })
		if _, err := s.Sign(t.Context(), []byte("m")); err != nil {
			t.Fatal(err)
		}
		if got := ui.Secrets()[0].TriesLeft; got != 3 {
			t.Errorf("firmware %v: the person was told %d tries, want 3", firmware, got)
		}
	}
}

// TestNoPINIsLeftBehind: a key with policy "once" would sign for the next program.
func TestNoPINIsLeftBehind(t *testing.T) {
	for _, firmware := range [][3]byte{{5, 7, 1}, {5, 4, 3}, {4, 3, 7}} {
		_, ref := oneCard(t, soft.Config{Firmware: firmware})
		readers := must(yk.Cards())(t)
		once := quick()
		once.PINPolicy = yk.PINPolicyOnce
		pub := provision(t, readers[0], yk.SlotAuthentication, once)
		s := open(t, newBackend(t, Options{}), ref, person(testPIN))
		if _, err := s.Sign(t.Context(), []byte("m")); err != nil {
			t.Fatal(err)
		}
		raw(t, readers[0], func(y *yk.YubiKey) {
			private := must(y.PrivateKey(yk.SlotAuthentication, pub, yk.KeyAuth{PINPolicy: yk.PINPolicyNever}))(t)
			digest := sha256.Sum256([]byte("another program's"))
			if _, err := private.(crypto.Signer).Sign(rand.Reader, digest[:], crypto.SHA256); err == nil {
				t.Errorf("firmware %v: a key signed without PIN for another program", firmware)
			}
		})
	}
}

func TestRefusedKinds(t *testing.T) {
	c := newCard(t, soft.Config{Serial: 1})
	reader := plug(t, c)[0]
	b := newBackend(t, Options{})
	for _, alg := range []yk.Algorithm{yk.AlgorithmEd25519, yk.AlgorithmEC384, yk.AlgorithmX25519, yk.AlgorithmRSA1024} {
		k := quick()
		k.Algorithm = alg
		provision(t, reader, yk.SlotSignature, k)
		ui := person(testPIN)
		_, err := b.Open(t.Context(), signer.Ref{URI: uri(t, "piv:serial=1;slot=9c")}, ui)
		if !errors.Is(err, signer.ErrUnsupported) {
			t.Errorf("algorithm %d: error is %v, want ErrUnsupported", alg, err)
		}
		if len(ui.Secrets()) != 0 {
			t.Errorf("algorithm %d: asked for a PIN", alg)
		}
	}
}

func TestPSSSalt(t *testing.T) {
	c := newCard(t, soft.Config{Serial: 1})
	k := quick()
	k.Algorithm = yk.AlgorithmRSA2048
	pub := provision(t, plug(t, c)[0], yk.SlotSignature, k)
	s := open(t, newBackend(t, Options{}), signer.Ref{URI: uri(t, "piv:serial=1;slot=9c")}, person(testPIN))
	sig := must(s.Sign(t.Context(), []byte("m")))(t)
	digest := sha256.Sum256([]byte("m"))
	opts := &rsa.PSSOptions{SaltLength: 32, Hash: crypto.SHA256}
	if err := rsa.VerifyPSS(pub.(*rsa.PublicKey), crypto.SHA256, digest[:], sig, opts); err != nil {
		t.Error(err)
	}
}

func TestOldFirmware(t *testing.T) {
	_, ref := oneCard(t, soft.Config{Firmware: [3]byte{4, 2, 4}})
	_, err := newBackend(t, Options{}).Open(t.Context(), ref, person(testPIN))
	if !errors.Is(err, signer.ErrUnsupported) {
		t.Errorf("error is %v, want ErrUnsupported", err)
	}
}

func TestT0Card(t *testing.T) {
	plug(t, newCard(t, soft.Config{Serial: 1, T0Only: true}))
	_, err := newBackend(t, Options{}).Open(t.Context(), signer.Ref{URI: uri(t, "piv:serial=1;slot=9c")}, person(testPIN))
	if err == nil || !strings.Contains(err.Error(), "T=0") {
		t.Errorf("error is %v, want one about T=0", err)
	}
}

func TestImportedKey(t *testing.T) {
	for _, firmware := range [][3]byte{{5, 7, 1}, {4, 3, 7}} {
		c := newCard(t, soft.Config{Serial: 1, Firmware: firmware})
		reader := plug(t, c)[0]
		private := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
		provision(t, reader, yk.SlotAuthentication, quick())
		raw(t, reader, func(y *yk.YubiKey) {
			if err := y.SetPrivateKeyInsecure(yk.DefaultManagementKey, yk.SlotSignature, private, quick()); err != nil {
				t.Fatal(err)
			}
		})
		b := newBackend(t, Options{})
		ref := signer.Ref{URI: uri(t, "piv:serial=1;slot=9c"), Pinned: private.Public()}
		s := open(t, b, ref, person(testPIN))
		sig := must(s.Sign(t.Context(), []byte("m")))(t)
		if err := wiresig.Verify(private.Public(), []byte("m"), sig); err != nil {
			t.Error(err)
		}
		if _, err := b.Attest(t.Context(), ref, c.CAPEM()); !errors.Is(err, signer.ErrUnsupported) {
			t.Errorf("firmware %v: attesting an imported key: %v, want ErrUnsupported", firmware, err)
		}
		info := must(b.Describe(t.Context(), ref, nil))(t)
		if want := map[bool]string{true: "imported"}[firmware[0] == 5]; info.Origin != want {
			t.Errorf("firmware %v: origin %q, want %q", firmware, info.Origin, want)
		}
	}
}

// TestStaleCertificate: the certificate of an older key is still in the slot.
func TestStaleCertificate(t *testing.T) {
	old := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t).Public()
	for _, tt := range []struct {
		name string
		cfg  soft.Config
		pin  bool // whether the key must be pinned to be known
	}{
		{"metadata", soft.Config{Serial: 1}, false},
		{"attestation", soft.Config{Serial: 1, Firmware: [3]byte{4, 3, 7}}, false},
		{"neither", soft.Config{OtherVendor: true, Reader: "Card 7"}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			reader := plug(t, newCard(t, tt.cfg))[0]
			pub := provision(t, reader, yk.SlotSignature, quick())
			storeCertificate(t, reader, yk.SlotSignature, old)
			ref := signer.Ref{URI: uri(t, "piv:slot=9c").With("reader", reader)}
			if tt.pin {
				ref.Pinned = pub
			}
			b := newBackend(t, Options{})
			s := open(t, b, ref, person(testPIN))
			if !signer.SamePublic(s.Public(), pub) {
				t.Fatal("the certificate's key was taken for the slot's")
			}
			if _, err := s.Sign(t.Context(), []byte("m")); err != nil {
				t.Error(err)
			}
			stale := slices.ContainsFunc(b.Probe(t.Context(), ref), func(f signer.Finding) bool { return f.Code == "key-stale-certificate" })
			if stale == tt.pin {
				t.Errorf("doctor sees the stale certificate: %v", stale)
			}
		})
	}
}

// TestKeyOfTheCertificate: only the certificate tells, and it is right; the pinned
// key is another. The signature shows it.
func TestKeyOfTheCertificate(t *testing.T) {
	reader := plug(t, newCard(t, soft.Config{OtherVendor: true}))[0]
	pub := provision(t, reader, yk.SlotSignature, quick())
	storeCertificate(t, reader, yk.SlotSignature, pub)
	other := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t).Public()
	s := open(t, newBackend(t, Options{}), signer.Ref{URI: uri(t, "piv:reader=acme;slot=9c"), Pinned: other}, person(testPIN))
	if sig, err := s.Sign(t.Context(), []byte("m")); !errors.Is(err, signer.ErrKeyChanged) || sig != nil {
		t.Errorf("signature %x, error %v, want ErrKeyChanged", sig, err)
	}
}

func TestWrongSignatureIsNotKept(t *testing.T) {
	c, ref := oneCard(t, soft.Config{})
	s := open(t, newBackend(t, Options{}), ref, person(testPIN))
	c.SetWrongSignatures(1)
	if sig, err := s.Sign(t.Context(), []byte("m")); !errors.Is(err, signer.ErrBadSignature) || sig != nil {
		t.Errorf("signature %x, error %v, want ErrBadSignature", sig, err)
	}
	if _, err := s.Sign(t.Context(), []byte("m")); err != nil {
		t.Errorf("the next one: %v", err)
	}
}

func TestNoDaemon(t *testing.T) {
	b := newBackend(t, Options{}) // no pcsc.Use: there is no service
	ref := signer.Ref{URI: uri(t, "piv:serial=1;slot=9c")}
	ui := person(testPIN)
	ui.OnInsert = func(signer.InsertRequest) error { t.Error("asked for a card"); return signer.ErrNoTerminal }
	if _, err := b.Open(t.Context(), ref, ui); !errors.Is(err, signer.ErrUnreachable) {
		t.Errorf("open: %v, want ErrUnreachable", err)
	}
	if _, err := b.Tokens(t.Context(), uri(t, "piv:")); !errors.Is(err, signer.ErrUnreachable) {
		t.Errorf("tokens: %v, want ErrUnreachable", err)
	}
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	if u, err := b.Find(t.Context(), key.Public()); err != nil || !u.IsZero() {
		t.Errorf("find: %v, %v; want nothing, because file keys must work without PC/SC", u, err)
	}
	if f := b.Probe(t.Context(), ref); len(f) != 1 || f[0].Code != "pcsc-daemon" || f[0].OK {
		t.Errorf("probe: %+v", f)
	}
}

// TestYubiKeyWithoutSerial: the serial number of a YubiKey 4 is in an applet that can
// be switched off. The reader, or the key, tells the card then.
func TestYubiKeyWithoutSerial(t *testing.T) {
	const name = "Yubico Yubikey 4 CCID 00 00"
	reader := plug(t, newCard(t, soft.Config{OtherVendor: true, Firmware: [3]byte{4, 3, 7}, Reader: name}))[0]
	pub := provision(t, reader, yk.SlotSignature, quick())
	b := newBackend(t, Options{})
	s := open(t, b, signer.Ref{URI: uri(t, "piv:slot=9c"), Pinned: pub}, person(testPIN))
	if want := uri(t, "piv:slot=9c").With("reader", name).String(); s.URI().String() != want {
		t.Errorf("URI is %s, want %s", s.URI(), want)
	}
	if _, err := s.Sign(t.Context(), []byte("m")); err != nil {
		t.Error(err)
	}
	if _, err := b.Open(t.Context(), signer.Ref{URI: uri(t, "piv:serial=1;slot=9c"), Pinned: pub}, person(testPIN)); !errors.Is(err, signer.ErrNoToken) {
		t.Errorf("by a serial number: %v, want ErrNoToken", err)
	}
}
