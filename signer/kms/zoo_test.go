//go:build unix

package kms_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/signer"
	"github.com/fleet-hsm/fleet-hsm/signer/kms"
	"github.com/fleet-hsm/fleet-hsm/signer/signertest"
)

// TestBadPlugins: each wrong plug-in is refused by name, within the deadline, and nothing
// that it started is left.
func TestBadPlugins(t *testing.T) {
	t.Parallel()
	folder := plugins(t)
	for _, tt := range []struct {
		does, alg string
		is        func(error) bool // its type; nil: it signs
		says      string
	}{
		{"hang", "p256", as[*kms.DeadlineError], "did not answer signMessage within"},
		{"hang-at-once", "p256", as[*kms.DeadlineError], "did not answer publicKey within"},
		{"gigabyte", "p256", as[*kms.AnswerError], "is longer than 64 KiB"},
		{"wrong-key", "p256", as[*kms.SignatureError], "does not verify"},
		{"two-keys", "p256", as[*signer.KeyChangedError], "holds another key than expected"},
		{"rs", "p256", as[*kms.SignatureError], "is r||s of 64 bytes"},
		{"pkcs1", "rsa2048", as[*kms.SignatureError], "padding of PKCS#1 v1.5"},
		{"error", "p256", as[*kms.RefusedError], `AccessDeniedException: \x1b[2Jno\nand no`},
		{"throttled", "p256", class(kms.Throttled), "slow down"},
		{"exit1", "p256", nil, ""},
		{"lingers", "p256", nil, ""},
		{"twice", "p256", as[*kms.AnswerError], "answers once"},
		{"nothing", "p256", as[*kms.AnswerError], `is empty (exit status 3); it said "no route to anywhere"`},
		{"killed", "p256", as[*kms.AnswerError], "is empty (signal: killed)"},
		{"prose", "p256", as[*kms.AnswerError], "is not a JSON object of the protocol"},
		{"empty", "p256", as[*kms.AnswerError], "holds no signature"},
		{"good", "p384", as[*signer.UnsupportedError], "agents accept P-256 only"},
	} {
		t.Run(tt.does+" "+tt.alg, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			file, pub := keyFile(t, dir, tt.alg)
			limit := time.Minute // a machine may be busy
			if strings.HasPrefix(tt.does, "hang") {
				limit = 10 * time.Second
			}
			b := kms.New(kms.Options{Folder: folder, Timeout: limit})
			start := time.Now()
			s, err := b.Open(t.Context(), signer.Ref{URI: uri(t, "kms:zoo;ref="+tt.does+":"+file), Pinned: pub}, &signertest.UI{})
			var sig []byte
			if err == nil {
				sig, err = s.Sign(t.Context(), []byte("a message"))
			}
			if took := time.Since(start); took > time.Minute { // the machine may be busy
				t.Errorf("it took %s", took)
			}
			noneLeft(t, dir)
			if tt.is == nil {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !tt.is(err) || !strings.Contains(err.Error(), tt.says) || sig != nil {
				t.Errorf("%T %v; want one that says %q", err, err, tt.says)
			}
			if !strings.Contains(err.Error(), "kms:zoo") {
				t.Errorf("%v does not name the key", err)
			}
			if tt.does == "two-keys" && calls(t, dir, "signMessage") != 0 {
				t.Error("a signature was asked for of another key than the pinned one")
			}
		})
	}
}

func as[T error](err error) bool { var e T; return errors.As(err, &e) }

func class(c kms.Class) func(error) bool {
	return func(err error) bool {
		var e *kms.RefusedError
		return errors.As(err, &e) && e.Class == c
	}
}

// noneLeft fails if a process is there whose command line names dir, or a child of this
// one that ended and was not waited for.
func noneLeft(t *testing.T, dir string) {
	t.Helper()
	procs, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil || len(procs) == 0 {
		t.Fatal("no processes are seen", err)
	}
	for _, p := range procs {
		line, _ := os.ReadFile(p)
		if strings.Contains(string(line), dir) {
			// A killed process goes when its parent, or init, has seen it.
			for range 100 {
				time.Sleep(20 * time.Millisecond)
				if line, _ = os.ReadFile(p); !strings.Contains(string(line), dir) {
					break
				}
			}
		}
		if strings.Contains(string(line), dir) {
			t.Errorf("a process is left: %s %q", p, line)
		}
	}
}

func calls(t testing.TB, dir, method string) int {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "calls"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return strings.Count(string(data), method+"\n")
}

// TestStopped: a person who stops a command does not wait for a plug-in.
func TestStopped(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, pub := keyFile(t, dir, "p256")
	b := kms.New(kms.Options{Folder: plugins(t)})
	s, err := b.Open(t.Context(), signer.Ref{URI: uri(t, "kms:zoo;ref=hang:"+file), Pinned: pub}, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	time.AfterFunc(200*time.Millisecond, stop)
	if _, err := s.Sign(ctx, []byte("m")); !errors.Is(err, context.Canceled) {
		t.Errorf("%v; want that it was canceled", err)
	}
	noneLeft(t, dir)
}

// TestAnotherKeySince: the key behind a reference is another one since it was opened, as
// after a rotation in the KMS. It is named, and the next one to open it sees it.
func TestAnotherKeySince(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, pub := keyFile(t, dir, "p256")
	b := kms.New(kms.Options{Folder: plugins(t)})
	ref := signer.Ref{URI: uri(t, "kms:zoo;ref=good:"+file), Pinned: pub}
	s, err := b.Open(t.Context(), ref, nil)
	if err == nil {
		_, err = s.Sign(t.Context(), []byte("m"))
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(other(file), file); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Sign(t.Context(), []byte("m")); !errors.Is(err, signer.ErrKeyChanged) {
		t.Errorf("%v; want that the key changed", err)
	}
	if _, err := b.Open(t.Context(), ref, nil); !errors.Is(err, signer.ErrKeyChanged) {
		t.Errorf("opened again: %v; want that the key changed", err)
	}
}
