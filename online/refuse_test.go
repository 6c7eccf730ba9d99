package online

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/store"
	"github.com/fleet-hsm/fleet-hsm/store/repotest"
)

func TestRefusesDeadRepository(t *testing.T) {
	layouts(t, func(t *testing.T, b *bench) {
		for _, role := range []string{"targets", "snapshot", "root"} {
			r := b.repo.Clone()
			c := newBench(t, b.repo.Consistent)
			c.repo = r
			c.cfg.Root = r.Read("1.root.json")
			c.cfg.Keys = b.cfg.Keys
			r.Expires[role] = time.Now().Add(time.Hour)
			if role == "root" {
				r.Root()
			}
			r.Commit()
			c.raw = open(t, "file://"+t.TempDir())
			c.store.Plain = store.Plain{Store: c.raw}
			c.publish()
			s := c.service()
			c.check(s)
			c.clock.add(59 * time.Hour)
			c.mustFail(s, ErrExpired)
			fresh := c.service() // one that has never seen it alive
			c.mustFail(fresh, ErrExpired)
			var e *ExpiredError
			if _, err := s.Check(t.Context(), Request{Always: true}); !errors.As(err, &e) || e.Role != role || Cause(err) != "expired" {
				t.Errorf("%s: %v", role, err)
			}
		}
	})
}

func TestRefusesWhatDoesNotVerify(t *testing.T) {
	layouts(t, func(t *testing.T, b *bench) {
		file := func(role string) string {
			if b.repo.Consistent {
				return fmt.Sprintf("%d.%s.json", b.repo.Version[role], role)
			}
			return role + ".json"
		}
		b.clock.add(11 * time.Hour) // due
		for _, name := range []string{file("targets"), file("snapshot"), "timestamp.json"} {
			good, err := store.Get(t.Context(), b.raw, name, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			b.put(name, bytes.Replace(good.Data, []byte("spec_version"), []byte("spec_versiom"), 1))
			b.mustFail(b.service(), ErrUnverified)
			if err := b.raw.Delete(t.Context(), name); err != nil {
				t.Fatal(err)
			}
			if name != "timestamp.json" {
				b.mustFail(b.service(), ErrUnverified)
			}
			b.put(name, good.Data)
		}
		stranger := repotest.NewKey(t)
		r := b.repo.Clone()
		r.Root()
		bad := r.Clone()
		bad.Keys["root"] = append(bad.Keys["root"][:0:0], stranger)
		bad.Root()
		b.put("2.root.json", bytes.Replace(bad.Read("3.root.json"), []byte(`"version":3`), []byte(`"version":2`), 1))
		b.mustFail(b.service(), ErrUnverified)
		b.put("2.root.json", r.Read("2.root.json"))
		if res := b.check(b.service()); res.Outcome != Signed {
			t.Errorf("%+v", res)
		}
	})
}

// TestBadNewerSnapshot: what a release engineer puts there is looked at before it is
// signed for, and does not stop the renewal of what is good.
func TestBadNewerSnapshot(t *testing.T) {
	for what, spoil := range map[string]func(b *bench){
		"stranger's key": func(b *bench) {
			b.repo.Keys["snapshot"] = append(b.repo.Keys["snapshot"][:0:0], repotest.NewKey(b.t))
			b.repo.CommitWithoutTimestamp()
			b.publishWithoutTimestamp()
		},
		"targets that went back": func(b *bench) {
			old := b.repo.Clone()
			b.repo.Commit()
			b.publish()
			old.Version["snapshot"] = b.repo.Version["snapshot"]
			old.Snapshot(b.repo.Read("2.targets.json"))
			b.put(fmt.Sprintf("%d.snapshot.json", old.Version["snapshot"]), old.Read("snapshot.json"))
		},
		"targets absent": func(b *bench) {
			b.repo.CommitWithoutTimestamp()
			b.put(fmt.Sprintf("%d.snapshot.json", b.repo.Version["snapshot"]), b.repo.Read("snapshot.json"))
		},
		"targets expired": func(b *bench) {
			b.repo.Expires["targets"] = time.Now().Add(-time.Hour)
			b.repo.CommitWithoutTimestamp()
			b.publishWithoutTimestamp()
		},
	} {
		b := newBench(t, true)
		spoil(b)
		b.clock.add(11 * time.Hour)
		b.cfg.RenewBefore = 99 * time.Hour
		s := b.service()
		want := b.repo.Version["snapshot"] - 1
		if what == "targets that went back" {
			want++
		}
		res := b.check(s)
		if res.Outcome == Fresh {
			res = b.check(s)
		}
		if res.Reason != "renew" || res.Snapshot != int64(want) {
			t.Errorf("%s: %+v, want snapshot %d", what, res, want)
		}
		if !strings.Contains(b.log.String(), "left alone") {
			t.Errorf("%s: nothing was said: %s", what, b.log)
		}
	}
}

func TestClock(t *testing.T) {
	layouts(t, func(t *testing.T, b *bench) {
		s := b.service()
		b.clock.add(11 * time.Hour)
		b.check(s)
		b.clock.add(-9 * time.Hour)
		b.mustFail(s, ErrClock) // it jumped back under us
		b.cfg.RenewBefore = 99 * time.Hour
		b.cfg.Expires = 100 * time.Hour
		fresh := b.service() // one that cannot know
		if _, err := fresh.Check(t.Context(), Request{Always: true}); !errors.Is(err, ErrShorter) {
			t.Errorf("a shorter expiry: %v", err)
		}
		b.cfg.AllowShorter = true
		if res, err := Once(t.Context(), b.cfg, Request{Always: true}); err != nil || res.Outcome != Signed {
			t.Errorf("%+v, %v", res, err)
		}
		b.store.date = b.clock.Now().Add(time.Hour)
		b.mustFail(b.service(), ErrClock)
		b.store.date = b.clock.Now().Add(-time.Hour)
		b.mustFail(b.service(), ErrClock)
	})
}

func TestNoKey(t *testing.T) {
	b := newBench(t, true)
	other := &memKey{key: repotest.NewKey(t)}
	b.cfg.Keys = []KeySource{other}
	b.clock.add(11 * time.Hour)
	b.mustFail(b.service(), ErrNoKey)
	if other.signed > 0 {
		t.Error("a key that root does not name was used")
	}
}

func TestConfigRefusals(t *testing.T) {
	b := newBench(t, true)
	for what, change := range map[string]func(c *Config){
		"no key":               func(c *Config) { c.Keys = nil },
		"renewing at once":     func(c *Config) { c.RenewBefore = c.Expires },
		"negative":             func(c *Config) { c.Interval = -1 },
		"validity too short":   func(c *Config) { c.Expires = time.Millisecond },
		"a root of a stranger": func(c *Config) { c.Root = bytes.Replace(c.Root, []byte(`"version":1`), []byte(`"version":9`), 1) },
		"no root":              func(c *Config) { c.Root = []byte("{}") },
	} {
		cfg := b.cfg
		change(&cfg)
		if _, err := New(cfg); !errors.Is(err, ErrConfig) && !errors.Is(err, ErrUnverified) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
