//go:build cgo

package pkcs11_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/sha256"
	"fmt"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	p11 "github.com/miekg/pkcs11"

	"github.com/fleet-hsm/fleet-hsm/internal/wiresig"
	"github.com/fleet-hsm/fleet-hsm/signer"
	"github.com/fleet-hsm/fleet-hsm/signer/pkcs11"
	"github.com/fleet-hsm/fleet-hsm/signer/signertest"
	"github.com/fleet-hsm/fleet-hsm/softhsm"
)

// The benchmarks compare with the shortest code over the binding, in the same run and
// in turns, because times alone say more about the machine than about us.

// bare is that code: sessions that are opened and logged in once, one each.
type bare struct {
	c        *p11.Ctx
	key      p11.ObjectHandle
	sessions []p11.SessionHandle
}

func must[V any](v V, err error) V {
	if err != nil {
		panic(err)
	}
	return v
}

// openBare loads, logs in and finds; initialize is false where the module runs already.
func openBare(module, label, pin string, sessions int, initialize bool) *bare {
	b := &bare{c: p11.New(module)}
	if initialize {
		must(0, b.c.Initialize())
	}
	for _, slot := range must(b.c.GetSlotList(true)) {
		if must(b.c.GetTokenInfo(slot)).Label != "fleet" {
			continue
		}
		for range sessions {
			b.sessions = append(b.sessions, must(b.c.OpenSession(slot, p11.CKF_SERIAL_SESSION)))
		}
	}
	if err := b.c.Login(b.sessions[0], p11.CKU_USER, pin); err != nil && err != p11.Error(p11.CKR_USER_ALREADY_LOGGED_IN) {
		panic(err)
	}
	must(0, b.c.FindObjectsInit(b.sessions[0], []*p11.Attribute{
		p11.NewAttribute(p11.CKA_CLASS, p11.CKO_PRIVATE_KEY), p11.NewAttribute(p11.CKA_LABEL, label),
	}))
	found, _, err := b.c.FindObjects(b.sessions[0], 1)
	must(0, err)
	must(0, b.c.FindObjectsFinal(b.sessions[0]))
	b.key = found[0]
	return b
}

func (b *bare) sign(session int, message []byte) []byte {
	digest := sha256.Sum256(message)
	must(0, b.c.SignInit(b.sessions[session], []*p11.Mechanism{p11.NewMechanism(p11.CKM_ECDSA, nil)}, b.key))
	return must(b.c.Sign(b.sessions[session], digest[:]))
}

func (b *bare) close(finalize bool) {
	for _, s := range b.sessions {
		_ = b.c.CloseSession(s)
	}
	if finalize {
		must(0, b.c.Finalize())
	}
}

// took is the time of some work by the clock and by the processors. The second one
// means something on a machine that others use too.
// each holds the time of single calls.
type took struct {
	wall, cpu time.Duration
	each      []time.Duration
}

func (t *took) add(u took) {
	t.wall, t.cpu, t.each = t.wall+u.wall, t.cpu+u.cpu, append(t.each, u.each...)
}

// p10 is the time within which a tenth of the calls came back: what a call takes when
// nothing else gets in its way.
func (t *took) p10() float64 {
	slices.Sort(t.each)
	return float64(t.each[len(t.each)/10])
}

// cpuTime is the processor time of this process so far.
func cpuTime() time.Duration {
	var u syscall.Rusage
	must(0, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// spread runs n calls on some goroutines and gives the time it took.
func spread(n, goroutines int, f func(goroutine int)) took {
	each := make([]time.Duration, n)
	start, cpu := time.Now(), cpuTime()
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for i := g; i < n; i += goroutines {
				began := time.Now()
				f(g)
				each[i] = time.Since(began)
			}
		})
	}
	wg.Wait()
	return took{time.Since(start), cpuTime() - cpu, each}
}

// BenchmarkSign signs P-256 on SoftHSM in rounds, in turns: the bare loop, the
// bare loop that verifies each signature as our signer does, our signer, and the
// verification of one signature over and over. Medians of rounds, and of differences in
// one turn, because sums say more of what else the machine does.
//
// µs/verify is what verifying adds to the bare loop, µs/more what our signer takes on
// top of both, %raw the bare loop's time over itself and that: our rate with verifying
// taken off. %raw-cpu is the same in processor time, %raw-p10 in the fastest tenth of the
// calls. %raw-hot takes off verifying as the fourth loop has it, which is less: nothing
// else is in the caches there.
func BenchmarkSign(b *testing.B) {
	tok := softhsm.New(b)
	generate(b, tok, "timestamp", signer.P256)
	benchmarkSign(b, tok, tok.Module, 250)
}

// BenchmarkSignOneMillisecond is the same on a module that takes a millisecond longer for
// each signature, as HSMs do: the forwarding module, without its log.
func BenchmarkSignOneMillisecond(b *testing.B) {
	f := newFake(b)
	generate(b, f.Token, "timestamp", signer.P256)
	f.set("quiet=1", "delay=C_Sign 1000")
	benchmarkSign(b, f.Token, f.Module, 50)
}

func benchmarkSign(b *testing.B, tok *softhsm.Token, module string, perRound int) {
	back := pkcs11.New(pkcs11.Options{Module: module, Timeout: timeout})
	defer back.Close()
	s := opened(b, back, signer.Ref{URI: parse(b, tok.URI("timestamp"))}, person(tok))
	signs(b, s)
	message := []byte("a message of a usual length, which is hashed before it gets to the token")
	sig := must(s.Sign(b.Context(), message))
	raw := openBare(module, "timestamp", tok.PIN, 8, false)
	defer raw.close(false)
	verify := func(int) { must(0, wiresig.Verify(s.Public(), message, sig)) }
	work := []func(session int){
		func(n int) { raw.sign(n, message) },
		func(n int) { check(s.Public(), message, raw.sign(n, message)) },
		func(int) { must(s.Sign(b.Context(), message)) },
		verify,
	}
	for _, g := range []int{1, 2, 4, 8} {
		b.Run(fmt.Sprintf("goroutines=%d", g), func(b *testing.B) {
			round := perRound * g // long, or how the goroutines end weighs most
			rounds := make([][]took, len(work))
			for i, n := 0, 0; n < b.N || i < 21; i, n = i+1, n+round { // of fewer, no median
				for k := range work {
					k = (k + i) % len(work) // nobody always comes after the same one
					rounds[k] = append(rounds[k], spread(round, g, work[k]))
				}
			}
			const bare, checked, ours, hot = 0, 1, 2, 3
			wall := func(t took) float64 { return float64(t.wall) / float64(round) / 1000 }
			cpu := func(t took) float64 { return float64(t.cpu) / float64(round) / 1000 }
			p10 := func(t took) float64 { return t.p10() / 1000 }
			for _, by := range []struct {
				unit   string
				figure func(took) float64
			}{{"", wall}, {"-cpu", cpu}, {"-p10", p10}} {
				one := middle(rounds[bare], nil, by.figure)
				b.ReportMetric(100*one/(one+middle(rounds[ours], rounds[checked], by.figure)), "%raw"+by.unit)
			}
			one := middle(rounds[bare], nil, wall)
			b.ReportMetric(100*one/middle(rounds[ours], rounds[hot], wall), "%raw-hot")
			b.ReportMetric(one, "µs/raw")
			b.ReportMetric(middle(rounds[checked], rounds[bare], wall), "µs/verify")
			b.ReportMetric(middle(rounds[ours], rounds[checked], wall), "µs/more")
		})
	}
}

// check is the shortest code that verifies what a token returns for P-256.
func check(pub crypto.PublicKey, message, raw []byte) {
	digest := sha256.Sum256(message)
	r, s := new(big.Int).SetBytes(raw[:32]), new(big.Int).SetBytes(raw[32:])
	if !ecdsa.Verify(pub.(*ecdsa.PublicKey), digest[:], r, s) {
		panic("the signature does not verify")
	}
}

// middle is the median of a figure of the rounds, or of what it is more than in those
// of the same turn.
func middle(rounds, than []took, figure func(took) float64) float64 {
	all := make([]float64, len(rounds))
	for i, t := range rounds {
		all[i] = figure(t)
		if than != nil {
			all[i] -= figure(than[i])
		}
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// BenchmarkOneShot is a command in small: load, log in, find, sign, close, each time
// from nothing. ratio is our time over that of the shortest code, in the same process.
func BenchmarkOneShot(b *testing.B) {
	tok := softhsm.New(b)
	generate(b, tok, "timestamp", signer.P256)
	u := parse(b, tok.URI("timestamp"))
	var ours, theirs took
	for b.Loop() {
		start, cpu := time.Now(), cpuTime()
		raw := openBare(tok.Module, "timestamp", tok.PIN, 1, true)
		raw.sign(0, []byte("one shot"))
		raw.close(true)
		theirs.add(took{time.Since(start), cpuTime() - cpu, []time.Duration{time.Since(start)}})
		start, cpu = time.Now(), cpuTime()
		back := pkcs11.New(pkcs11.Options{Module: tok.Module, Timeout: timeout})
		s := must(back.Open(b.Context(), signer.Ref{URI: u}, signertest.NewUI(signer.PIN, tok.PIN)))
		must(s.Sign(b.Context(), []byte("one shot")))
		must(0, back.Close())
		ours.add(took{time.Since(start), cpuTime() - cpu, []time.Duration{time.Since(start)}})
	}
	b.ReportMetric(float64(ours.wall)/float64(theirs.wall), "ratio")
	b.ReportMetric(ours.p10()/theirs.p10(), "ratio-p10")
	b.ReportMetric(float64(ours.cpu)/float64(theirs.cpu), "ratio-cpu")
	b.ReportMetric(float64(theirs.wall.Microseconds())/float64(b.N), "µs/raw")
}

// One C_OpenSession for each pooled session, not for each signature, counted by
// OpenSC's pkcs11-spy.
func TestSessionsAreKept(t *testing.T) {
	spies, _ := filepath.Glob("/usr/lib/*/pkcs11-spy.so")
	if len(spies) == 0 {
		t.Fatal("pkcs11-spy.so is missing (Debian package opensc-pkcs11)")
	}
	tok := softhsm.New(t)
	generate(t, tok, "timestamp", signer.P256)
	log := filepath.Join(t.TempDir(), "spy")
	t.Setenv("PKCS11SPY", tok.Module)
	t.Setenv("PKCS11SPY_OUTPUT", log)
	b := backend(t, spies[0])
	s := opened(t, b, signer.Ref{URI: parse(t, tok.URI("timestamp"))}, person(tok))
	for range 200 {
		signs(t, s)
	}
	const goroutines = 4
	spread(200, goroutines, func(int) { must(s.Sign(t.Context(), []byte("a message"))) })
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	opens, closes := strings.Count(string(text), ": C_OpenSession\n"), strings.Count(string(text), ": C_CloseSession\n")
	t.Logf("400 signatures: %d C_OpenSession, %d C_CloseSession, %d C_Login", opens, closes, strings.Count(string(text), ": C_Login\n"))
	if opens < 2 || opens > 1+goroutines || opens != closes {
		t.Errorf("%d C_OpenSession and %d C_CloseSession for 400 signatures by at most %d goroutines and one login", opens, closes, goroutines)
	}
	if n := strings.Count(string(text), ": C_Login\n"); n != 1 {
		t.Errorf("%d C_Login, want one", n)
	}
}

// Memory stays flat: resident memory after many signatures against that after a few.
func TestMemoryIsFlat(t *testing.T) {
	warm, many := 3000, 10000
	if long() {
		warm, many = 20000, 1000000
	}
	tok := softhsm.New(t)
	generate(t, tok, "timestamp", signer.P256)
	s := opened(t, backend(t, tok.Module), signer.Ref{URI: parse(t, tok.URI("timestamp"))}, person(tok))
	sign := func(n int) int {
		for ; n > 0; n -= 1000 { // in pieces: spread keeps the times
			spread(1000, 4, func(int) { must(s.Sign(t.Context(), []byte("a message"))) })
		}
		runtime.GC()
		return resident(t)
	}
	before := sign(warm)
	after := sign(many)
	t.Logf("resident after %d signatures: %d KiB; after %d more: %d KiB", warm, before, many, after)
	// A leak of one small allocation (64 bytes) in each signature would show in the
	// long run as 60 MiB.
	if grown := after - before; grown > 16<<10 {
		t.Errorf("%d KiB more after %d signatures", grown, many)
	}
}

// resident gives this process's resident memory in KiB. The race detector keeps memory
// of goroutines that have ended: under it, only what Go itself has in use is counted, and scripts/test runs the test without it too.
func resident(t testing.TB) int {
	t.Helper()
	if underRaceDetector() {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int(m.HeapInuse+m.StackInuse) >> 10
	}
	f, err := os.Open("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for line := range strings.Lines(string(must(io.ReadAll(f)))) {
		var kib int
		if n, _ := fmt.Sscanf(line, "VmRSS: %d kB", &kib); n == 1 {
			return kib
		}
	}
	t.Fatal("no VmRSS")
	return 0
}

func underRaceDetector() bool {
	info, _ := debug.ReadBuildInfo()
	return info != nil && slices.ContainsFunc(info.Settings, func(s debug.BuildSetting) bool { return s.Key == "-race" && s.Value == "true" })
}
