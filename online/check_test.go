package online

import (
	"bytes"
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/internal/wiresig"
	"github.com/fleet-hsm/fleet-hsm/store"
	"github.com/fleet-hsm/fleet-hsm/store/repotest"
)

func TestRenew(t *testing.T) {
	layouts(t, func(t *testing.T, b *bench) {
		s := b.service()
		if res := b.check(s); res.Outcome != Fresh || res.Version != 2 {
			t.Fatalf("with 60 of 100 hours left: %+v", res)
		}
		b.clock.add(11 * time.Hour)
		res := b.check(s)
		want := b.clock.Now().Add(100 * time.Hour).Truncate(time.Second)
		if res.Outcome != Signed || res.Reason != "renew" || res.Version != 3 || !res.Expires.Equal(want) {
			t.Fatalf("with 49 hours left: %+v, want expiry %s", res, want)
		}
		data := b.timestamp()
		var f struct {
			Signed struct {
				Type    string `json:"_type"`
				Spec    string `json:"spec_version"`
				Expires string `json:"expires"`
			} `json:"signed"`
		}
		if err := json.Unmarshal(data, &f); err != nil {
			t.Fatal(err)
		}
		var compact bytes.Buffer
		if err := json.Compact(&compact, data); err != nil || !bytes.Equal(compact.Bytes(), data) {
			t.Errorf("not compact: %s", data)
		}
		if f.Signed.Type != "timestamp" || f.Signed.Spec != "1.0" || !strings.HasSuffix(f.Signed.Expires, "Z") || bytes.Contains(data, []byte("custom")) {
			t.Errorf("in another form than go-tuf's: %s", data)
		}
		if res := b.check(s); res.Outcome != Fresh {
			t.Errorf("right after: %+v", res)
		}
		// What was signed is what the release engineer can build on.
		b.pull()
		b.repo.Expires["timestamp"] = b.clock.Now().Add(200 * time.Hour)
		b.repo.Commit()
		b.publish()
		if res := b.check(s); res.Outcome != Fresh || res.Version != 4 {
			t.Errorf("after the next release: %+v", res)
		}
	})
}

func TestOnce(t *testing.T) {
	layouts(t, func(t *testing.T, b *bench) {
		res, err := Once(t.Context(), b.cfg, Request{Within: 10 * time.Hour})
		if err != nil || res.Outcome != Fresh {
			t.Errorf("%+v, %v", res, err)
		}
		if res, err = Once(t.Context(), b.cfg, Request{Within: 61 * time.Hour}); err != nil || res.Outcome != Signed {
			t.Errorf("%+v, %v", res, err)
		}
		if res, err = Once(t.Context(), b.cfg, Request{Always: true}); err != nil || res.Outcome != Signed || res.Version != 4 {
			t.Errorf("%+v, %v", res, err)
		}
	})
}

func TestIdle(t *testing.T) {
	layouts(t, func(t *testing.T, b *bench) {
		s := b.service()
		b.check(s)
		for range 6 {
			b.store.reset()
			b.check(s)
			if len(b.store.gets) > 3 || b.store.puts > 0 || slices.ContainsFunc(b.store.gets, func(n string) bool { return strings.Contains(n, "targets") }) {
				t.Errorf("an idle check reads %q and writes %d", b.store.gets, b.store.puts)
			}
		}
		// A renewal does not read targets either.
		b.clock.add(20 * time.Hour)
		b.store.reset()
		if res := b.check(s); res.Outcome != Signed {
			t.Fatalf("%+v", res)
		}
		if slices.ContainsFunc(b.store.gets, func(n string) bool { return strings.Contains(n, "targets") }) {
			t.Errorf("a renewal reads %q", b.store.gets)
		}
	})
}

func TestPicksUpSnapshot(t *testing.T) {
	for _, skipped := range []int{0, 1, 3} {
		b := newBench(t, true)
		s := b.service()
		b.check(s)
		for range skipped {
			b.repo.CommitWithoutTimestamp() // never published
		}
		b.repo.Targets["orbit/linux/edge/orbit"] = []byte("edge")
		b.repo.CommitWithoutTimestamp()
		b.publishWithoutTimestamp()
		var res Result
		for range 2 { // it asks in two ways, in turns
			if res = b.check(s); res.Outcome != Fresh {
				break
			}
		}
		if res.Reason != "new-snapshot" || res.Snapshot != int64(b.repo.Version["snapshot"]) {
			t.Errorf("%d skipped: %+v", skipped, res)
		}
		b.pull()
		b.repo.Commit()
		b.publish()
		if res := b.check(s); res.Outcome != Fresh || res.Snapshot != int64(b.repo.Version["snapshot"]) {
			t.Errorf("after the next release: %+v", res)
		}
	}
}

func TestFirstTimestamp(t *testing.T) {
	b := newBench(t, true)
	b.raw = open(t, "file://"+t.TempDir())
	b.store.Plain = store.Plain{Store: b.raw}
	s := b.service()
	if _, err := s.Check(t.Context(), Request{}); !errors.Is(err, ErrUnverified) {
		t.Errorf("an empty store: %v", err)
	}
	b.publishWithoutTimestamp()
	if res := b.check(s); res.Outcome != Signed || res.Reason != "no-timestamp" || res.Version != int64(b.repo.Version["snapshot"]) {
		t.Errorf("%+v", res)
	}
}

func TestUncertainWrites(t *testing.T) {
	lost := errors.New("connection reset")
	layouts(t, func(t *testing.T, b *bench) {
		b.clock.add(11 * time.Hour)
		s := b.service()
		// Written, and the answer was lost.
		b.store.put = func(real func() error) error { _ = real(); return lost }
		if res := b.check(s); res.Outcome != Signed || b.key.signed != 1 {
			t.Errorf("%+v after %d signatures", res, b.key.signed)
		}
		// Tried again by the client library after a lost answer: 412.
		b.clock.add(55 * time.Hour)
		b.store.put = func(real func() error) error { _ = real(); return real() }
		if res := b.check(s); res.Outcome != Signed || res.Version != 4 {
			t.Errorf("%+v", res)
		}
		// Not written; the next try writes the very same bytes.
		b.clock.add(55 * time.Hour)
		b.store.put = func(func() error) error { return lost }
		b.mustFail(s, ErrStore)
		signed := b.key.signed
		b.store.put = nil
		if res := b.check(s); res.Outcome != Signed || res.Version != 5 || b.key.signed != signed {
			t.Errorf("%+v after %d signatures, %d before", res, b.key.signed, signed)
		}
		// Said to be written, and was not: the store is read, not believed.
		b.clock.add(55 * time.Hour)
		b.store.put = func(func() error) error { return nil }
		b.mustFail(s, ErrStore)
		b.store.put = nil
		if res := b.check(s); res.Outcome != Signed || res.Version != 6 {
			t.Errorf("%+v", res)
		}
		// Another instance was first.
		b.clock.add(55 * time.Hour)
		other := b.service()
		b.store.put = func(real func() error) error {
			b.store.put = nil
			b.clock.add(time.Second) // or it would sign the very same bytes
			b.check(other)
			return real()
		}
		if res := b.check(s); res.Outcome != OtherWriter || res.Version != 7 {
			t.Errorf("%+v", res)
		}
	})
}

// A store that gives no ETag gives nothing to hold a race against: nothing is written.
func TestStoreWithoutETags(t *testing.T) {
	b := newBench(t, true)
	s := b.service()
	b.clock.now = b.clock.now.Add(30 * time.Hour)
	b.store.noETag = true
	b.mustFail(s, ErrStore)
	if b.store.puts != 0 {
		t.Errorf("%d writes", b.store.puts)
	}
}

func TestSnapshotNeverGoesBack(t *testing.T) {
	b := newBench(t, true)
	s := b.service()
	old := b.timestamp()
	b.repo.Commit()
	b.publish()
	b.check(s)
	for _, name := range []string{"3.snapshot.json", "snapshot.json"} {
		if err := b.raw.Delete(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	b.put("timestamp.json", old)
	b.mustFail(s, ErrRollback)
}

func TestKeys(t *testing.T) {
	layouts(t, func(t *testing.T, b *bench) {
		spare := &memKey{key: repotest.NewKey(t)}
		dead := &memKey{gone: errors.New("token not present")}
		b.cfg.Keys = []KeySource{dead, spare, b.key}
		s := b.service()
		b.clock.add(11 * time.Hour)
		if res := b.check(s); res.Outcome != Signed || spare.signed != 0 {
			t.Errorf("%+v; a key that root does not name signed %d times", res, spare.signed)
		}
		// The HSM was restarted: the open key is dead, a new one works.
		b.clock.add(55 * time.Hour)
		b.key.setFail(errors.New("session closed"))
		if res := b.check(s); res.Outcome != Signed || b.key.opened != 2 {
			t.Errorf("%+v, opened %d times", res, b.key.opened)
		}
		// Rotation: root names the spare key only; no restart.
		b.pull()
		b.repo.Keys["timestamp"] = append(b.repo.Keys["timestamp"][:0:0], spare.key)
		b.repo.Root()
		b.repo.Expires["timestamp"] = b.clock.Now().Add(100 * time.Hour)
		if b.repo.Consistent {
			b.repo.CommitWithoutTimestamp()
			b.publishWithoutTimestamp()
		} else {
			b.put("2.root.json", b.repo.Read("2.root.json"))
		}
		before := b.key.signed
		if res := b.check(s); res.Outcome != Signed || res.Reason != "keys-changed" || spare.signed != 1 || b.key.signed != before {
			t.Errorf("%+v, spare signed %d", res, spare.signed)
		}
		// Both keys of a role with threshold 2, one of them hidden until unlocked.
		b.pull()
		b.repo.Keys["timestamp"] = append(b.repo.Keys["timestamp"], b.key.key)
		b.repo.Threshold["timestamp"] = 2
		b.repo.Root()
		b.key.hidden = true
		b.put("3.root.json", b.repo.Read("3.root.json"))
		if res := b.check(s); res.Outcome != Signed || res.Reason != "keys-changed" {
			t.Errorf("%+v", res)
		}
		// One of two is not enough, and a wrong signature is none.
		b.clock.add(55 * time.Hour)
		spare.evil = true
		b.mustFail(s, ErrSign)
		if _, err := s.Check(t.Context(), Request{}); !errors.Is(err, wiresig.ErrBadSignature) {
			t.Errorf("a wrong signature: %v", err)
		}
		spare.evil = false
		if res := b.check(s); res.Outcome != Signed {
			t.Errorf("%+v", res)
		}
	})
}

func TestSlowKeyGivesWay(t *testing.T) {
	b := newBench(t, true)
	b.cfg.SignTimeout = time.Millisecond
	b.cfg.Keys = []KeySource{hungKey{b.key}, b.key}
	b.clock.add(11 * time.Hour)
	if res := b.check(b.service()); res.Outcome != Signed {
		t.Errorf("%+v", res)
	}
}

// hungKey answers only when its time is over.
type hungKey struct{ *memKey }

func (h hungKey) Open(ctx context.Context, _ []crypto.PublicKey) (Key, error) { return h, nil }

func (h hungKey) Sign(ctx context.Context, _ []byte) ([]byte, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// TestRootYoungerThanTimestamp: a root takes a key from a role whose metadata still
// verifies; agents need a higher timestamp then, also if nobody was running when the
// root appeared.
func TestRootYoungerThanTimestamp(t *testing.T) {
	layouts(t, func(t *testing.T, b *bench) {
		running := b.service()
		b.check(running)
		b.repo.Keys["targets"] = append(b.repo.Keys["targets"], repotest.NewKey(t))
		b.repo.Root()
		b.put("2.root.json", b.repo.Read("2.root.json"))
		late := b.service()
		if res := b.check(late); res.Outcome != Signed || res.Reason != "keys-changed" || res.Root != 2 {
			t.Errorf("one that starts later: %+v", res)
		}
		if res := b.check(running); res.Outcome != Fresh || res.Version != 3 {
			t.Errorf("the others: %+v", res)
		}
		if res := b.check(b.service()); res.Outcome != Fresh {
			t.Errorf("a new start: %+v", res)
		}
		b.repo.Root() // changes nobody's keys
		b.put("3.root.json", b.repo.Read("3.root.json"))
		if res := b.check(running); res.Outcome != Fresh || res.Root != 3 {
			t.Errorf("a root that changes no keys: %+v", res)
		}
	})
}
