//go:build cgo

package pkcs11_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/internal/wiresig"
	"github.com/fleet-hsm/fleet-hsm/signer"
	"github.com/fleet-hsm/fleet-hsm/signer/pkcs11"
	"github.com/fleet-hsm/fleet-hsm/signer/signertest"
	"github.com/fleet-hsm/fleet-hsm/softhsm"
)

// long reports whether the long campaigns are asked for.
func long() bool { return os.Getenv("FLEET_HSM_LONG") == "1" }

func TestFaultTokenFolderRenamedAway(t *testing.T) {
	tok := softhsm.New(t)
	made := generate(t, tok, "timestamp", signer.P256)
	ref := signer.Ref{URI: parse(t, tok.URI("timestamp")), Pinned: made.Public[0]}
	s := opened(t, backend(t, tok.Module), ref, person(tok))
	signs(t, s)
	away := tok.Store + ".away"
	for range 2 {
		if err := os.Rename(tok.Store, away); err != nil {
			t.Fatal(err)
		}
		err := refuses(t, s, signer.ErrDevice)
		var m *pkcs11.ModuleError
		if !errors.As(err, &m) || m.Code != "module-init" {
			t.Errorf("the error does not say what is missing: %v", err)
		}
		if err := os.Rename(away, tok.Store); err != nil {
			t.Fatal(err)
		}
		signs(t, s)
	}
}

// The folder comes back while a signature is being tried.
func TestFaultTokenFolderGoneForAMoment(t *testing.T) {
	tok := softhsm.New(t)
	made := generate(t, tok, "timestamp", signer.P256)
	s := opened(t, backend(t, tok.Module), signer.Ref{URI: parse(t, tok.URI("timestamp")), Pinned: made.Public[0]}, person(tok))
	signs(t, s)
	if err := os.Rename(tok.Store, tok.Store+".away"); err != nil {
		t.Fatal(err)
	}
	back := make(chan error, 1)
	time.AfterFunc(20*time.Millisecond, func() { back <- os.Rename(tok.Store+".away", tok.Store) })
	_, err := s.Sign(t.Context(), []byte("a message"))
	if err := <-back; err != nil {
		t.Fatal(err)
	}
	// A machine that is slow enough uses up the six tries; then the next one is good.
	if err != nil && !errors.Is(err, signer.ErrDevice) {
		t.Fatal(err)
	}
	signs(t, s)
}

func TestFaultTokenReplacedUnderItsLabel(t *testing.T) {
	tok := softhsm.New(t)
	made := generate(t, tok, "root", signer.P256)
	ui := person(tok)
	s := opened(t, backend(t, tok.Module), signer.Ref{URI: parse(t, tok.URI("root")), Pinned: made.Public[0]}, ui)
	signs(t, s)
	if err := errors.Join(os.RemoveAll(tok.Store), os.Mkdir(tok.Store, 0o700), tok.AddToken(tok.Label)); err != nil {
		t.Fatal(err)
	}
	tool(t, tok, "--login", "--pin", tok.PIN, "--keypairgen", "--key-type", "EC:prime256v1", "--label", "root", "--id", "01")
	refuses(t, s, signer.ErrKeyChanged)
	if n := len(ui.Secrets()); n != 1 {
		t.Errorf("asked %d times for a PIN, want once", n)
	}
}

func TestFaultSessionsClosedUnderEightGoroutines(t *testing.T) {
	const goroutines, kills = 8, 100
	f, ref := keyed(t)
	ui := person(f.Token)
	s := opened(t, backend(t, f.Module), ref, ui)
	signs(t, s)

	var stop atomic.Bool
	var asked, good, failed atomic.Int64
	var seen sync.Map
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for i := 0; !stop.Load(); i++ {
				message := fmt.Appendf(nil, "message %d of %d", i, g)
				asked.Add(1)
				sig, err := s.Sign(context.Background(), message)
				if err != nil {
					failed.Add(1)
					t.Logf("a clear error: %v", err)
					continue
				}
				if err := wiresig.Verify(ref.Pinned, message, sig); err != nil {
					t.Errorf("message %d of %d: %v", i, g, err)
				}
				if _, double := seen.LoadOrStore(string(sig), true); double {
					t.Error("one signature was returned twice")
				}
				good.Add(1)
			}
		})
	}
	for n := range kills {
		before := good.Load()
		f.set(fmt.Sprintf("kill=%d", n+1))
		waitFor(t, func() bool { return good.Load() > before+goroutines })
	}
	stop.Store(true)
	wg.Wait()
	t.Logf("%d asked, %d good, %d errors, %d kills", asked.Load(), good.Load(), failed.Load(), kills)
	if good.Load()+failed.Load() != asked.Load() {
		t.Error("signatures were lost")
	}
	if failed.Load() > 0 {
		t.Errorf("%d signatures failed although the token was there all the time", failed.Load())
	}
	if n := len(ui.Secrets()); n != 1 {
		t.Errorf("asked %d times for the PIN, want once", n)
	}
}

// Eight processes at once on one token: a login rewrites SoftHSM's token file, and a
// process that starts just then reads half of it.
func TestFaultEightProcessesAtOnce(t *testing.T) {
	rounds := 5
	if long() {
		rounds = 50 // 400 runs
	}
	tok := softhsm.New(t)
	generate(t, tok, "targets", signer.P256)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	failures := 0
	for range rounds {
		var wg sync.WaitGroup
		errs := make(chan error, 8)
		for range 8 {
			wg.Go(func() {
				cmd := exec.Command(self, tok.URI("targets"), tok.PINFile())
				cmd.Env = append(os.Environ(), oneShotVar+"="+tok.Module)
				out, err := cmd.CombinedOutput()
				if err != nil {
					err = fmt.Errorf("%w: %s", err, out)
				}
				errs <- err
			})
		}
		wg.Wait()
		for range 8 {
			if err := <-errs; err != nil {
				failures++
				t.Log(err)
			}
		}
	}
	t.Logf("%d of %d one-shot processes failed", failures, rounds*8)
	if failures > 0 {
		t.Errorf("%d of %d one-shot processes failed", failures, rounds*8)
	}
}

// hasty is a backend whose deadline passes soon.
func hasty(t testing.TB, module string) *pkcs11.Backend {
	t.Helper()
	return pkcs11.New(pkcs11.Options{Module: module, Timeout: 300 * time.Millisecond})
}

func TestFaultModuleHangs(t *testing.T) {
	for _, function := range []string{"C_GetFunctionList", "C_Initialize", "C_GetSlotList", "C_OpenSession", "C_FindObjectsInit", "C_Login", "C_SignInit", "C_Sign"} {
		t.Run(function, func(t *testing.T) {
			f, ref := keyed(t, "hang="+function)
			b := hasty(t, f.Module)
			t.Cleanup(func() {
				f.set() // lets the abandoned call go, so that the next test has the token
				waitFor(t, func() bool { _, err := b.Open(context.Background(), ref, &signertest.UI{}); return err == nil })
				if err := b.Close(); err != nil {
					t.Error(err)
				}
			})
			ui := person(f.Token)
			s, err := b.Open(t.Context(), ref, ui)
			if err == nil {
				_, err = s.Sign(t.Context(), []byte("a message"))
			}
			var late *pkcs11.DeadlineError
			if !errors.As(err, &late) || !errors.Is(err, signer.ErrDeadline) || late.Path != f.Module {
				t.Fatalf("error is %v, want a DeadlineError", err)
			}
			start := time.Now()
			if _, err := b.Open(t.Context(), signer.Ref{URI: parse(t, "pkcs11:token=other;object=x")}, ui); !errors.Is(err, signer.ErrDeadline) {
				t.Errorf("the hanging module was used again: %v", err)
			}
			if time.Since(start) > timeout/2 {
				t.Error("a module that hangs was waited for a second time")
			}
		})
	}
}

// A stall that ends (a network HSM behind a link that was down) needs no restart.
func TestFaultModuleComesBack(t *testing.T) {
	f, ref := keyed(t)
	b := hasty(t, f.Module)
	defer b.Close()
	ui := person(f.Token)
	s := opened(t, b, ref, ui)
	signs(t, s)
	f.set("hang=C_Sign")
	refuses(t, s, signer.ErrDeadline)
	refuses(t, s, signer.ErrDeadline)
	f.set()
	waitFor(t, func() bool {
		sig, err := s.Sign(t.Context(), []byte("a message"))
		return err == nil && wiresig.Verify(ref.Pinned, []byte("a message"), sig) == nil
	})
	if n := len(ui.Secrets()); n != 1 {
		t.Errorf("asked %d times for the PIN, want once", n)
	}
}

// The context of a command ends while the module hangs: the command goes on at once.
func TestFaultCanceledInACall(t *testing.T) {
	f, ref := keyed(t)
	b := backend(t, f.Module)
	s := opened(t, b, ref, person(f.Token))
	signs(t, s)
	f.set("hang=C_Sign")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	before := f.calls("C_Sign")
	go func() {
		_, err := s.Sign(ctx, []byte("a message"))
		done <- err
	}()
	waitFor(t, func() bool { return f.calls("C_Sign") > before })
	cancel()
	if err := <-done; !errors.Is(err, signer.ErrCanceled) || !errors.Is(err, context.Canceled) {
		t.Fatalf("error is %v, want ErrCanceled", err)
	}
	f.set()
	signs(t, s)
}

func TestFaultOneSessionOnly(t *testing.T) {
	for name, lines := range map[string][]string{
		"one": {"max_sessions=1"}, "one unstated": {"max_sessions=1", "hide_max=1"}, "three unstated": {"max_sessions=3", "hide_max=1"},
	} {
		t.Run(name, func(t *testing.T) {
			f, ref := keyed(t, lines...)
			s := opened(t, backend(t, f.Module), ref, person(f.Token))
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					for range 5 {
						if _, err := s.Sign(context.Background(), []byte("a message")); err != nil {
							t.Error(err)
						}
					}
				})
			}
			wg.Wait()
			if n := f.calls("C_Initialize"); n != 1 {
				t.Errorf("the module was initialised %d times", n)
			}
		})
	}
}

func TestFaultGenerateWithOneSession(t *testing.T) {
	f := newFake(t, "max_sessions=1")
	b := backend(t, f.Module)
	ui := person(f.Token)
	made, err := b.Generate(t.Context(), signer.Ref{URI: parse(t, f.URI("new"))}, signer.GenerateOptions{}, ui)
	if err != nil {
		t.Fatal(err)
	}
	signs(t, opened(t, b, signer.Ref{URI: made.URI, Pinned: made.Public[0]}, ui))
	if n := len(ui.Secrets()); n != 1 {
		t.Errorf("asked %d times for the PIN, want once", n)
	}
}

// A signature that does not verify is thrown away, and said so.
func TestFaultWrongSignature(t *testing.T) {
	f, ref := keyed(t, "bad_signatures=1")
	s := opened(t, backend(t, f.Module), ref, signertest.NewUI(signer.PIN, f.PIN))
	refuses(t, s, signer.ErrBadSignature)
	signs(t, s)
}

// The token gets another serial number under the same label and shows no public key:
// the remembered PIN is not offered to it.
func TestFaultAnotherTokenOfThatLabel(t *testing.T) {
	f, ref := keyed(t)
	s := opened(t, backend(t, f.Module), ref, person(f.Token))
	signs(t, s)
	logins := f.calls("C_Login")
	f.set("restart=1", "serial=other", "hide=2")
	refuses(t, s, signer.ErrNoToken)
	if f.calls("C_Login") != logins {
		t.Error("the PIN was offered to another token")
	}
	f.set("restart=2", "serial=standby") // a standby HSM with the same keys
	signs(t, s)
}
