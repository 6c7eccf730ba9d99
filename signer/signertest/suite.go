package signertest

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/internal/wiresig"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

// Config says how to make a device for a subtest.
type Config struct {
	Setup func(t *testing.T) Device
}

// Device is a key and what opens it.
type Device struct {
	// Backend is new: it has not asked for a secret yet.
	Backend signer.Backend
	// URI names a key whose secret is Secret; Public is its public key.
	URI    signer.URI
	Public crypto.PublicKey
	// Kind is what the backend asks for, "" where it asks for nothing; Secret the right
	// answer; Wrong one that the device takes and refuses.
	Kind          signer.SecretKind
	Secret, Wrong string
	// Second names another key that the same answer opens, on the same device.
	// Zero where a device holds one key only.
	Second       signer.URI
	SecondPublic crypto.PublicKey
	// Missing names a key that is not there although its device is.
	Missing signer.URI
	// Ambiguous names more than one key. Zero where that cannot be.
	Ambiguous signer.URI
	// Hidden: only the secret tells the public part of a key that is not pinned.
	Hidden bool
	// MaxMessage is the longest message that the device signs, in bytes; 0 for any.
	MaxMessage int
	// TriesLeft tells how many tries the device still grants, where it counts them.
	TriesLeft func(t *testing.T) int
}

// questions is how often the backend asks for its secret.
func (d Device) questions() int {
	if d.Kind == "" {
		return 0
	}
	return 1
}

func (d Device) ui() *UI         { return NewUI(d.Kind, d.Secret) }
func (d Device) ref() signer.Ref { return signer.Ref{URI: d.URI, Roles: []string{"targets"}} }
func (d Device) pinned() signer.Ref {
	r := d.ref()
	r.Pinned = d.Public
	return r
}

// Run judges a backend.
func Run(t *testing.T, c Config) {
	t.Helper()
	for _, tt := range tests() {
		t.Run(tt.name, func(t *testing.T) {
			d := c.Setup(t)
			if c, ok := d.Backend.(io.Closer); ok {
				t.Cleanup(func() { c.Close() })
			}
			if d.Kind == "" && tt.secret {
				testNothingAsked(t, d)
				return
			}
			tt.run(t, d)
		})
	}
}

// test is one of the suite; secret: it is about a secret that the device asks for.
type test struct {
	name   string
	secret bool
	run    func(*testing.T, Device)
}

func tests() []test {
	return []test{
		{"Sign", false, testSign},
		{"Unpinned", false, testUnpinned},
		{"EmptyMessage", false, testEmpty},
		{"LargeMessage", false, testLarge},
		{"Concurrent", false, testConcurrent},
		{"AnotherKeyThanPinned", false, testPinnedMismatch},
		{"WrongSecret", true, testWrongSecret},
		{"NoSecret", true, testNoSecret},
		{"EmptySecret", true, testEmptySecret},
		{"Canceled", false, testCanceled},
		{"CanceledQuestion", true, testCanceledQuestion},
		{"Close", false, testClose},
		{"CloseBackend", false, testCloseBackend},
		{"UnlockOnce", false, testUnlockOnce},
		{"Missing", false, testMissing},
		{"Ambiguous", false, testAmbiguous},
	}
}

// open opens ref and closes it when the test ends.
func open(t *testing.T, d Device, ref signer.Ref, ui signer.UI) signer.Signer {
	t.Helper()
	s, err := d.Backend.Open(t.Context(), ref, ui)
	if err != nil {
		t.Fatalf("open %s: %v", ref.URI, err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// mustSign signs and judges the signature with code that is not the backend's.
func mustSign(t *testing.T, s signer.Signer, pub crypto.PublicKey, message []byte) {
	t.Helper()
	sig, err := s.Sign(t.Context(), message)
	if err != nil {
		t.Fatalf("sign %d bytes: %v", len(message), err)
	}
	if err := wiresig.Verify(pub, message, sig); err != nil {
		t.Fatalf("signature over %d bytes: %v", len(message), err)
	}
	if err := wiresig.Verify(pub, append(bytes.Clone(message), 'x'), sig); err == nil {
		t.Fatal("the signature verifies over another message too")
	}
}

func testSign(t *testing.T, d Device) {
	ui := d.ui()
	s := open(t, d, d.pinned(), ui)
	if n := len(ui.Secrets()); n != 0 {
		t.Errorf("opening a pinned key asked %d times for a secret", n)
	}
	if !signer.SamePublic(d.Public, s.Public()) {
		t.Fatalf("Public is %T %v, want the key of the device", s.Public(), s.Public())
	}
	if got, want := s.URI().String(), d.URI.String(); got != want {
		t.Errorf("URI is %s, want %s", got, want)
	}
	mustSign(t, s, d.Public, []byte("a message"))
	mustSign(t, s, d.Public, []byte("another message"))
	reqs := ui.Secrets()
	if len(reqs) != d.questions() {
		t.Fatalf("asked %d times for a secret, want %d", len(reqs), d.questions())
	}
	if len(reqs) == 0 {
		return
	}
	r := reqs[0]
	if r.Kind != d.Kind || r.Device == "" || r.URI.IsZero() || len(r.Roles) != 1 {
		t.Errorf("the question says too little: %+v", r)
	}
}

func testUnpinned(t *testing.T, d Device) {
	ui := d.ui()
	s := open(t, d, d.ref(), ui)
	if !d.Hidden {
		if len(ui.Secrets()) != 0 {
			t.Error("asked for a secret although the device shows its public keys")
		}
		if !signer.SamePublic(d.Public, s.Public()) {
			t.Fatalf("Public is %v, want the key of the device", s.Public())
		}
	}
	if u, ok := s.(signer.Unlocker); ok {
		if err := u.Unlock(t.Context()); err != nil {
			t.Fatalf("unlock: %v", err)
		}
		if !signer.SamePublic(d.Public, s.Public()) {
			t.Fatalf("after Unlock Public is %v, want the key of the device", s.Public())
		}
	}
	mustSign(t, s, d.Public, []byte("a message"))
	if n := len(ui.Secrets()); n != d.questions() {
		t.Errorf("asked %d times for a secret, want %d", n, d.questions())
	}
}

func testEmpty(t *testing.T, d Device) {
	s := open(t, d, d.pinned(), d.ui())
	mustSign(t, s, d.Public, nil)
	mustSign(t, s, d.Public, []byte{})
}

func testLarge(t *testing.T, d Device) {
	s := open(t, d, d.pinned(), d.ui())
	for _, n := range []int{2048, 4096, 65536, 1<<20 + 1, 3 << 20} {
		message := bytes.Repeat([]byte{'a'}, n)
		if d.MaxMessage == 0 || n <= d.MaxMessage {
			mustSign(t, s, d.Public, message)
			continue
		}
		if _, err := s.Sign(t.Context(), message); !errors.Is(err, signer.ErrUnsupported) {
			t.Errorf("%d bytes are beyond the device, but the error is %v", n, err)
		}
	}
}

func testConcurrent(t *testing.T, d Device) {
	const goroutines, each = 8, 4
	ui := d.ui()
	s := open(t, d, d.pinned(), ui)
	errs := make(chan error, goroutines*each)
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for i := range each {
				message := fmt.Appendf(nil, "message %d of %d", i, g)
				sig, err := s.Sign(t.Context(), message)
				if err == nil {
					err = wiresig.Verify(d.Public, message, sig)
				}
				errs <- err
			}
		})
	}
	wg.Wait()
	for range goroutines * each {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	if n := len(ui.Secrets()); n != d.questions() {
		t.Errorf("%d goroutines asked %d times for a secret, want %d", goroutines, n, d.questions())
	}
}

func testPinnedMismatch(t *testing.T, d Device) {
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ref := d.ref()
	ref.Pinned = other.Public()
	ui := d.ui()
	s, err := d.Backend.Open(t.Context(), ref, ui)
	if d.Hidden && err == nil {
		defer s.Close()
		_, err = s.Sign(t.Context(), []byte("a message"))
	} else if n := len(ui.Secrets()); n != 0 {
		t.Errorf("asked %d times for a secret of a key that is not the expected one", n)
	}
	if !errors.Is(err, signer.ErrKeyChanged) {
		t.Fatalf("error is %v, want ErrKeyChanged", err)
	}
}

func testCanceled(t *testing.T, d Device) {
	ui := d.ui()
	s := open(t, d, d.pinned(), ui)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Sign(ctx, []byte("a message"))
	if !errors.Is(err, signer.ErrCanceled) && !errors.Is(err, context.Canceled) {
		t.Fatalf("error is %v, want ErrCanceled or context.Canceled", err)
	}
	if n := len(ui.Secrets()); n != 0 {
		t.Errorf("asked %d times for a secret after the end", n)
	}
	mustSign(t, s, d.Public, []byte("a message"))
}

// testCanceledQuestion: the person gives up at the prompt, then comes back.
func testCanceledQuestion(t *testing.T, d Device) {
	asked := 0
	ui := &UI{Ask: func(ctx context.Context, _ signer.SecretRequest) (string, error) {
		asked++
		if asked == 1 {
			return "", context.Canceled
		}
		return d.Secret, nil
	}}
	s := open(t, d, d.pinned(), ui)
	_, err := s.Sign(t.Context(), []byte("a message"))
	if !errors.Is(err, signer.ErrCanceled) && !errors.Is(err, context.Canceled) {
		t.Fatalf("error is %v, want ErrCanceled or context.Canceled", err)
	}
	mustSign(t, s, d.Public, []byte("a message"))
}

func testClose(t *testing.T, d Device) {
	ui := d.ui()
	s := open(t, d, d.pinned(), ui)
	mustSign(t, s, d.Public, []byte("a message"))
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatalf("close: %v", err)
		}
	}
	if _, err := s.Sign(t.Context(), []byte("a message")); err == nil {
		t.Fatal("a closed signer signed")
	}
	again := open(t, d, d.pinned(), ui)
	mustSign(t, again, d.Public, []byte("a message"))
}

func testCloseBackend(t *testing.T, d Device) {
	s := open(t, d, d.pinned(), d.ui())
	mustSign(t, s, d.Public, []byte("a message"))
	c, ok := d.Backend.(io.Closer)
	if !ok {
		return
	}
	for range 2 {
		if err := c.Close(); err != nil {
			t.Fatalf("close the backend: %v", err)
		}
	}
	if _, err := s.Sign(t.Context(), []byte("a message")); err == nil {
		t.Fatal("a signer of a closed backend signed")
	}
	if err := s.Close(); err != nil {
		t.Errorf("close after the backend: %v", err)
	}
}

func testUnlockOnce(t *testing.T, d Device) {
	ui := d.ui()
	first := open(t, d, d.pinned(), ui)
	if u, ok := first.(signer.Unlocker); ok {
		for range 2 {
			if err := u.Unlock(t.Context()); err != nil {
				t.Fatalf("unlock: %v", err)
			}
		}
	}
	mustSign(t, first, d.Public, []byte("targets"))
	mustSign(t, open(t, d, d.pinned(), ui), d.Public, []byte("snapshot"))
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if !d.Second.IsZero() {
		ref := signer.Ref{URI: d.Second, Pinned: d.SecondPublic, Roles: []string{"timestamp"}}
		mustSign(t, open(t, d, ref, ui), d.SecondPublic, []byte("timestamp"))
	}
	if n := len(ui.Secrets()); n != d.questions() {
		t.Errorf("asked %d times for one secret, want %d", n, d.questions())
	}
}

func testMissing(t *testing.T, d Device) {
	if d.Missing.IsZero() {
		return
	}
	s, err := d.Backend.Open(t.Context(), signer.Ref{URI: d.Missing}, d.ui())
	if err == nil {
		s.Close()
		t.Fatalf("opened %s, which is not there", d.Missing)
	}
	if !errors.Is(err, signer.ErrKeyNotFound) {
		t.Errorf("error is %v, want ErrKeyNotFound", err)
	}
	if !strings.Contains(err.Error(), d.Missing.String()) {
		t.Errorf("the error does not name the key: %v", err)
	}
}

func testAmbiguous(t *testing.T, d Device) {
	if d.Ambiguous.IsZero() {
		return
	}
	s, err := d.Backend.Open(t.Context(), signer.Ref{URI: d.Ambiguous}, d.ui())
	if u, ok := s.(signer.Unlocker); ok && err == nil && d.Hidden {
		// Only behind the secret can it be seen how many there are.
		err = u.Unlock(t.Context())
	}
	if err == nil {
		s.Close()
		t.Fatalf("opened %s, which names more than one key", d.Ambiguous)
	}
	var many *signer.AmbiguousError
	if !errors.As(err, &many) || len(many.Candidates) < 2 {
		t.Errorf("error is %v, want an AmbiguousError that lists them", err)
	}
}
