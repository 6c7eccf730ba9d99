//go:build cgo

package piv

import (
	"crypto"
	"io"
	"os"
	"testing"
	"time"

	yk "github.com/go-piv/piv-go/v2/piv"

	"github.com/fleet-hsm/fleet-hsm/signer"
	"github.com/fleet-hsm/fleet-hsm/signer/signertest"
	soft "github.com/fleet-hsm/fleet-hsm/softpiv/card"
	"github.com/fleet-hsm/fleet-hsm/softpiv/pcsc"
)

func TestMain(m *testing.M) {
	if _, child := os.LookupEnv(envAlone); child {
		os.Exit(m.Run()) // the library is the parent's
	}
	os.Exit(pcsc.Main(m))
}

// The PIN of the cards that these tests make, and one that is wrong.
const (
	testPIN  = "271828"
	testPUK  = "31415926"
	wrongPIN = "999999"
)

func newCard(t testing.TB, cfg soft.Config) *soft.Card {
	t.Helper()
	c, err := soft.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// newBackend gives a backend that does not wait as long as one for people.
func newBackend(t testing.TB, opts Options) *Backend {
	t.Helper()
	b := New(opts)
	b.grace, b.settle, b.second = 0, 300*time.Millisecond, 0
	t.Cleanup(func() { _ = b.Close() })
	return b
}

// raw runs f with piv-go alone, as another program would.
func raw(t testing.TB, reader string, f func(*yk.YubiKey)) {
	t.Helper()
	k, err := yk.Open(reader)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = k.Close() }()
	f(k)
}

// must takes the error out of a pair.
func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func uri(t testing.TB, s string) signer.URI {
	t.Helper()
	return must(Kind().Parse(s))(t)
}

// plug serves cards for one test and gives their readers.
func plug(t *testing.T, cards ...*soft.Card) []string {
	t.Helper()
	return pcsc.Use(t, cards...).Readers()
}

// quick is a key that asks for no touch.
func quick() yk.Key {
	return yk.Key{Algorithm: yk.AlgorithmEC256, PINPolicy: yk.PINPolicyAlways, TouchPolicy: yk.TouchPolicyNever}
}

// provision gives a factory card testPIN and a key in a slot.
func provision(t testing.TB, reader string, slot yk.Slot, k yk.Key) (pub crypto.PublicKey) {
	t.Helper()
	raw(t, reader, func(y *yk.YubiKey) {
		pub = must(y.GenerateKey(yk.DefaultManagementKey, slot, k))(t)
		if err := y.VerifyPIN(testPIN); err == nil {
			return
		}
		if err := y.SetPIN(yk.DefaultPIN, testPIN); err != nil {
			t.Fatal(err)
		}
	})
	return pub
}

// oneCard is a YubiKey with a key in 9c that asks for no touch.
func oneCard(t *testing.T, cfg soft.Config) (*soft.Card, signer.Ref) {
	t.Helper()
	if cfg.Serial == 0 {
		cfg.Serial = 15835999
	}
	c := newCard(t, cfg)
	pub := provision(t, plug(t, c)[0], yk.SlotSignature, quick())
	u := uri(t, "piv:slot=9c").With("serial", "15835999")
	return c, signer.Ref{URI: u, Pinned: pub, Roles: []string{"root"}}
}

// person answers the PIN question.
func person(pin string) *signertest.UI {
	u := signertest.NewUI(signer.PIN, pin)
	u.Person = true
	return u
}

func open(t testing.TB, b *Backend, ref signer.Ref, ui signer.UI) signer.Signer {
	t.Helper()
	s := must(b.Open(t.Context(), ref, ui))(t)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

var _ io.Closer = (*Backend)(nil)
