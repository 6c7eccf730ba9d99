package online

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/store"
	"github.com/fleet-hsm/fleet-hsm/store/repotest"
)

// remembering gives a bench a state file and a metric of its own.
func (b *bench) remembering() prometheus.Gatherer {
	b.t.Helper()
	reg := prometheus.NewRegistry()
	b.cfg.Metrics = NewMetrics(reg, b.clock.Now)
	b.cfg.StateFile = filepath.Join(b.t.TempDir(), "state.json")
	return reg
}

// generation is everything that the store has.
func (b *bench) generation() map[string][]byte {
	b.t.Helper()
	files := map[string][]byte{}
	for info, err := range b.raw.List(b.t.Context(), "") {
		if err != nil {
			b.t.Fatal(err)
		}
		o, err := store.Get(b.t.Context(), b.raw, info.Name, 1<<20)
		if err != nil {
			b.t.Fatal(err)
		}
		files[info.Name] = o.Data
	}
	return files
}

// restore makes the store exactly what it was.
func (b *bench) restore(files map[string][]byte) {
	b.t.Helper()
	for name := range b.generation() {
		if files[name] == nil {
			b.remove(name)
		}
	}
	for name, data := range files {
		b.put(name, data)
	}
}

func (b *bench) remove(name string) {
	b.t.Helper()
	if err := b.raw.Delete(b.t.Context(), name); err != nil {
		b.t.Fatal(err)
	}
}

// forge signs a timestamp over the newest snapshot with a key of the forger's choice.
func (b *bench) forge(version int64, expires time.Time, key ed25519.PrivateKey) []byte {
	b.t.Helper()
	return b.repo.Sign(map[string]any{
		"_type": "timestamp", "spec_version": "1.0", "version": version, "expires": expires.UTC().Format(time.RFC3339),
		"meta": map[string]any{"snapshot.json": map[string]any{"version": b.repo.Version["snapshot"]}},
	}, key)
}

// refuses: a check fails for a reason, nothing is signed or written.
func (b *bench) refuses(s *Service, want error) {
	b.t.Helper()
	signed, before := b.key.signed, b.generation()
	if res, err := s.Check(b.t.Context(), Request{Always: true}); !errors.Is(err, want) {
		b.t.Errorf("%+v, %v; want %v", res, err, want)
	}
	if b.key.signed != signed {
		b.t.Error("it has signed")
	}
	for name, data := range b.generation() {
		if string(data) != string(before[name]) {
			b.t.Errorf("%s has changed", name)
		}
	}
}

// wentBack reads the counter that the alert looks at.
func wentBack(t *testing.T, g prometheus.Gatherer) float64 {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "fleet_hsm_store_went_back_total" {
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	t.Fatal("no such metric")
	return 0
}

// TestWhatGoesBackIsRefused: whatever a store without any key puts back, neither the
// signer that has seen the newer one nor the one started after it signs; with the newest
// back they go on by themselves.
func TestWhatGoesBackIsRefused(t *testing.T) {
	for what, spoil := range map[string]func(b *bench, old map[string][]byte){
		"everything":        func(b *bench, old map[string][]byte) { b.restore(old) },
		"the timestamp":     func(b *bench, old map[string][]byte) { b.put("timestamp.json", old["timestamp.json"]) },
		"no timestamp left": func(b *bench, _ map[string][]byte) { b.remove("timestamp.json") },
		"the newest root":   func(b *bench, _ map[string][]byte) { b.remove("2.root.json") },
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			layouts(t, func(t *testing.T, b *bench) {
				metrics := b.remembering()
				running := b.service()
				b.check(running)
				old := b.generation()
				b.repo.Root()
				b.repo.Expires["timestamp"] = b.clock.Now().Add(70 * time.Hour)
				b.repo.Commit()
				b.publish()
				b.check(running)
				newest := b.generation()
				spoil(b, old)
				signers := []*Service{running, b.service()}
				if what == "the newest root" {
					signers = signers[1:] // who has followed it needs it no more
				}
				for i, s := range signers {
					b.refuses(s, ErrRollback)
					b.clock.add(61 * time.Hour / 2) // what was put back expires
					b.refuses(s, ErrRollback)
					if n := wentBack(t, metrics); n != float64(2*i+2) {
						t.Errorf("%v refusals counted", n)
					}
				}
				b.restore(newest)
				for _, s := range []*Service{running, b.service()} {
					if res := b.check(s); res.Version < 3 || res.Snapshot != 3 || res.Root != 2 {
						t.Errorf("with the newest back: %+v", res)
					}
				}
			})
		})
	}
}

// TestOtherBytesAtTheSameVersion: each role, signed by its own key.
func TestOtherBytesAtTheSameVersion(t *testing.T) {
	layouts(t, func(t *testing.T, b *bench) {
		b.remembering()
		s := b.service()
		b.repo.Root()
		b.publish()
		b.check(s)
		newest := b.generation()
		b.put("timestamp.json", b.forge(2, b.clock.Now().Add(300*time.Hour), b.repo.Keys["timestamp"][0]))
		b.refuses(s, ErrDiverged)
		b.refuses(b.service(), ErrDiverged)
		b.restore(newest)

		other := b.repo.Clone()
		other.Version["root"]--
		other.Expires["root"] = other.Expires["root"].Add(time.Hour)
		other.Root()
		b.put("2.root.json", other.Read("2.root.json"))
		b.refuses(b.service(), ErrDiverged)
		b.restore(newest)

		other = b.repo.Clone()
		other.Version["snapshot"], other.Version["targets"] = other.Version["snapshot"]-1, other.Version["targets"]-1
		other.Targets["orbit/linux/evil/orbit"] = []byte("other")
		other.Commit()
		for _, name := range []string{"targets.json", "snapshot.json", "timestamp.json", "2.targets.json", "2.snapshot.json"} {
			if newest[name] != nil {
				b.put(name, other.Read(name))
			}
		}
		b.refuses(s, ErrDiverged)
		b.refuses(b.service(), ErrDiverged)
		b.restore(newest)
		b.check(s)
	})
}

// TestExpiredTimestamp: it is renewed by whoever remembers it, or when a person says so.
func TestExpiredTimestamp(t *testing.T) {
	layouts(t, func(t *testing.T, b *bench) {
		b.clock.add(61 * time.Hour)
		metrics := b.remembering()
		b.refuses(b.service(), ErrLapsed)
		if wentBack(t, metrics) != 1 {
			t.Error("not counted")
		}
		b.cfg.AcceptExpired = true
		s := b.service()
		if res := b.check(s); res.Outcome != Signed || res.Version != 3 || !res.Adopted {
			t.Errorf("accepted: %+v", res)
		}
		b.cfg.AcceptExpired = false
		// Switched off for three weeks.
		b.clock.add(500 * time.Hour)
		if res := b.check(b.service()); res.Outcome != Signed || res.Version != 4 || res.Adopted {
			t.Errorf("remembered: %+v", res)
		}
		// The word of a person held for one check.
		b.clock.add(100 * time.Hour)
		b.put("timestamp.json", b.forge(9, b.clock.Now().Add(-time.Hour), b.repo.Keys["timestamp"][0]))
		b.refuses(s, ErrLapsed)
	})
}

// TestRetiredKey: a timestamp that only retired keys signed steers nothing.
func TestRetiredKey(t *testing.T) {
	for _, version := range []int64{5000, tuf.MaxVersion - 2, 1 << 60, math.MaxInt64} {
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			t.Parallel()
			layouts(t, func(t *testing.T, b *bench) {
				b.remembering()
				retired := b.key.key
				s := b.service()
				b.clock.add(11 * time.Hour)
				b.check(s) // version 3
				b.key.key = repotest.NewKey(t)
				b.repo.Keys["timestamp"] = []ed25519.PrivateKey{b.key.key}
				b.repo.Root()
				b.put("2.root.json", b.repo.Read("2.root.json"))
				forged := b.forge(version, b.clock.Now().Add(20000*time.Hour), retired)
				b.put("timestamp.json", forged)
				stateless := b.cfg
				stateless.StateFile = ""
				before := b.generation()
				for name, cfg := range map[string]Config{"its own": b.cfg, "none": stateless} {
					b.restore(before)
					want := int64(4) // above the one in force before
					if name == "none" {
						want = int64(b.repo.Version["snapshot"])
					}
					if res, err := Once(t.Context(), cfg, Request{Always: true}); err != nil || res.Version != want {
						t.Errorf("memory %s: %+v, %v; want version %d", name, res, err, want)
					}
				}
				b.put("timestamp.json", forged)
				b.refuses(b.service(), ErrRollback)
			})
		})
	}
}

// TestStolenKey: a version that the present key was made to sign and that cannot be
// honest is not followed.
func TestStolenKey(t *testing.T) {
	layouts(t, func(t *testing.T, b *bench) {
		for _, version := range []int64{4 + tuf.MaxJump, tuf.MaxVersion - 2, tuf.MaxVersion, 1 << 60} {
			b.cfg.StateFile = ""
			b.put("timestamp.json", b.forge(version, b.clock.Now().Add(99*time.Hour), b.key.key))
			s := b.service()
			if res, err := s.Check(t.Context(), Request{Always: true}); !isVersion(err) || b.key.signed > 0 {
				t.Errorf("%d at a first start: %+v, %v", version, res, err)
			}
			if Cause(&StoreError{Err: &tuf.VersionError{}}) != "version" {
				t.Error("its cause has no name")
			}
		}
		b.put("timestamp.json", b.forge(4000, b.clock.Now().Add(99*time.Hour), b.key.key))
		if res, err := b.service().Check(t.Context(), Request{Always: true}); err != nil || res.Version != 4001 {
			t.Errorf("an honest one of many: %+v, %v", res, err)
		}
	})
}

// TestFastForwardIsForgotten: a root that takes the keys away makes the memory forget, as
// it does agents.
func TestFastForwardIsForgotten(t *testing.T) {
	b := newBench(t, true)
	b.remembering()
	s := b.service()
	good := b.repo.Clone()
	b.repo.Version["targets"], b.repo.Version["snapshot"] = 9000, 9000
	b.repo.Commit()
	b.publish()
	b.check(s)
	b.repo = good
	for _, role := range []string{"targets", "snapshot", "timestamp"} {
		good.Keys[role] = []ed25519.PrivateKey{repotest.NewKey(t)}
	}
	b.key.key = good.Keys["timestamp"][0]
	good.Root()
	good.CommitWithoutTimestamp()
	for _, name := range []string{"3.targets.json", "3.snapshot.json", "snapshot.json", "2.root.json"} {
		b.put(name, good.Read(name))
	}
	for _, s := range []*Service{s, b.service()} {
		if res := b.check(s); res.Snapshot != 3 || res.Root != 2 || res.Version != 4 {
			t.Errorf("%+v", res)
		}
	}
}

// TestAcceptOlder: a person has put an older state back on purpose; the version goes on
// above all that agents have seen.
func TestAcceptOlder(t *testing.T) {
	layouts(t, func(t *testing.T, b *bench) {
		b.remembering()
		s := b.service()
		old := b.generation()
		b.repo.Commit()
		b.publish()
		b.check(s)
		b.restore(old)
		b.cfg.AcceptOlder = true
		if res, err := Once(t.Context(), b.cfg, Request{Always: true}); err != nil || res.Version != 4 || res.Snapshot != 2 {
			t.Errorf("%+v, %v", res, err)
		}
		b.cfg.AcceptOlder = false
		for _, s := range []*Service{b.service(), s} {
			if res := b.check(s); res.Outcome != Fresh || res.Snapshot != 2 {
				t.Errorf("afterwards: %+v", res)
			}
		}
	})
}

// TestStateFile: one that is not this repository's, damaged, or cannot be written, stops
// everything; a root pinned later is found in it.
func TestStateFile(t *testing.T) {
	b := newBench(t, true)
	b.remembering()
	b.repo.Root()
	b.publish()
	b.check(b.service())
	good, err := os.ReadFile(b.cfg.StateFile)
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Schema int
		Roots  map[string]string
	}
	if err := json.Unmarshal(good, &file); err != nil || file.Schema != 1 || len(file.Roots) != 2 {
		t.Errorf("%v: %s", err, good)
	}
	pinned := b.cfg.Root
	b.cfg.Root = b.repo.Read("2.root.json")
	b.check(b.service())
	b.cfg.Root = repotest.New(t, true).Read("1.root.json")
	b.refuses(b.service(), ErrOtherRepository)
	b.cfg.Root = pinned
	for _, bad := range []string{"", "{}", `{"schema":2,"roots":{"1":"x"}}`, string(good[:len(good)/2]), `{"schema":1,"roots":{"1":"x"}}`} {
		if err := os.WriteFile(b.cfg.StateFile, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		b.refuses(b.service(), ErrState)
	}
	if err := os.WriteFile(b.cfg.StateFile, good, 0o600); err != nil {
		t.Fatal(err)
	}
	b.check(b.service())
	b.cfg.StateFile = filepath.Join(t.TempDir(), "no", "state.json")
	b.refuses(b.service(), ErrState)
}

// TestStateIsShared: a command run by hand beside the daemon, on one file.
func TestStateIsShared(t *testing.T) {
	b := newBench(t, true)
	b.remembering()
	s := b.service()
	b.check(s)
	old := b.generation()
	if res, err := Once(t.Context(), b.cfg, Request{Always: true}); err != nil || res.Version != 3 {
		t.Fatalf("%+v, %v", res, err)
	}
	b.restore(old)
	b.refuses(s, ErrRollback) // it has not seen version 3 itself
}
