package online

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
)

// TestPendingSurvives: what was signed and perhaps seen is written as it is by whoever
// starts next; its number is never given to other bytes.
func TestPendingSurvives(t *testing.T) {
	layouts(t, func(t *testing.T, b *bench) {
		b.remembering()
		b.check(b.service())
		b.clock.add(11 * time.Hour)
		before := b.timestamp()
		b.store.put = func(func() error) error { return errors.New("connection reset") }
		b.mustFail(b.service(), ErrStore)
		b.store.put = nil
		if res := b.check(b.service()); res.Outcome != Signed || res.Version != 3 || b.key.signed != 1 {
			t.Errorf("%+v after %d signatures", res, b.key.signed)
		}
		// It was seen, and then taken back.
		b.put("timestamp.json", before)
		b.refuses(b.service(), ErrRollback)
		b.restore(map[string][]byte{})
		b.publish()
		b.cfg.AcceptOlder = true
		if res, err := Once(t.Context(), b.cfg, Request{Always: true}); err != nil || res.Version != 4 {
			t.Errorf("%+v, %v", res, err)
		}
	})
}

// TestStaleReadBack: an answer from before the write does not end a pending timestamp.
func TestStaleReadBack(t *testing.T) {
	b := newBench(t, true)
	b.remembering()
	b.check(b.service())
	b.clock.add(11 * time.Hour)
	honest := b.cfg.Store
	b.cfg.Store = &shiftingETags{fakeStore: b.store}
	b.store.put = func(func() error) error { return errors.New("connection reset") }
	b.mustFail(b.service(), ErrStore)
	b.store.put, b.cfg.Store = nil, honest
	b.clock.add(time.Hour)
	if res := b.check(b.service()); res.Outcome != Signed || res.Version != 3 || b.key.signed != 1 {
		t.Errorf("%+v after %d signatures", res, b.key.signed)
	}
}

// shiftingETags gives the same bytes another ETag each time.
type shiftingETags struct {
	*fakeStore
	n int
}

func (s *shiftingETags) Get(ctx context.Context, name string, limit int64) ([]byte, string, time.Time, error) {
	data, etag, date, err := s.fakeStore.Get(ctx, name, limit)
	s.n++
	return data, fmt.Sprint(etag, s.n), date, err
}

// dyingKey signs, and its process ends before it has the signature.
type dyingKey struct {
	ed25519.PrivateKey
	dies     bool
	messages []string
}

func (k *dyingKey) Name() string                                          { return "pkcs11:token=test" }
func (k *dyingKey) Open(context.Context, []crypto.PublicKey) (Key, error) { return k, nil }
func (k *dyingKey) Close() error                                          { return nil }

func (k *dyingKey) Sign(ctx context.Context, message []byte) ([]byte, error) {
	k.messages = append(k.messages, string(message))
	if k.dies {
		return nil, context.Canceled
	}
	return ed25519.Sign(k.PrivateKey, message), nil
}

func (b *bench) dying() *dyingKey {
	b.remembering()
	b.check(b.service())
	b.clock.add(11 * time.Hour)
	key := &dyingKey{PrivateKey: b.key.key, dies: true}
	b.cfg.Keys = []KeySource{key}
	b.mustFail(b.service(), ErrSign)
	key.dies = false
	return key
}

// TestNumberIsReserved: a process that ends between a signature and its keeping has made
// it over the bytes that the next process signs.
func TestNumberIsReserved(t *testing.T) {
	layouts(t, func(t *testing.T, b *bench) {
		key := b.dying()
		b.clock.add(10 * time.Minute)
		if res := b.check(b.service()); res.Outcome != Signed || res.Version != 3 {
			t.Errorf("%+v", res)
		}
		if len(slices.Compact(key.messages)) != 1 {
			t.Errorf("version 3 is these: %q", key.messages)
		}
		if res, err := Once(t.Context(), b.cfg, Request{Always: true}); err != nil || res.Version != 4 {
			t.Errorf("%+v, %v", res, err)
		}
	})
}

// TestReservedGoesFirst: after a long outage what was reserved is published, and at once
// a new one after it, so that no number is left out and the last is good for its time.
func TestReservedGoesFirst(t *testing.T) {
	layouts(t, func(t *testing.T, b *bench) {
		key := b.dying()
		b.clock.add(35 * time.Hour)
		res, err := Once(t.Context(), b.cfg, Request{Always: true})
		if err != nil || res.Version != 4 || res.Expires.Sub(b.clock.Now()) < 99*time.Hour {
			t.Errorf("%+v, %v", res, err)
		}
		if all := slices.Compact(key.messages); len(all) != 2 {
			t.Errorf("signed: %q", all)
		}
	})
}

// TestReservedTooLate: where it has expired, or its snapshot is gone, its number is left out.
func TestReservedTooLate(t *testing.T) {
	for name, meanwhile := range map[string]func(b *bench){
		"nearly expired":                         func(b *bench) { b.clock.add(90 * time.Hour) },
		"good for longer than is configured now": func(b *bench) { b.cfg.Expires = 30 * time.Hour },
		"another's snapshot": func(b *bench) {
			for range 2 {
				b.repo.Commit()
				b.publish()
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, true)
			b.repo.Expires["timestamp"] = time.Now().Add(300 * time.Hour)
			key := b.dying()
			before, err := parse(b.timestamp(), roleTimestamp)
			if err != nil {
				t.Fatal(err)
			}
			meanwhile(b)
			b.cfg.AcceptExpired, b.cfg.AllowShorter = true, true
			if _, err := Once(t.Context(), b.cfg, Request{Always: true}); err != nil {
				t.Fatal(err)
			}
			if n := len(key.messages); n < 2 || key.messages[n-1] == key.messages[0] {
				t.Errorf("signed after version %d: %q", before.Version, key.messages)
			}
			byVersion := map[int64]string{}
			for _, m := range key.messages {
				ts, _, ok := reserved{Version: versionOf(t, m), Message: m}.parse()
				if old, again := byVersion[ts.Version]; !ok || again && old != m {
					t.Errorf("version %d is %q and %q", ts.Version, old, m)
				}
				byVersion[ts.Version] = m
			}
		})
	}
}

func versionOf(t *testing.T, message string) int64 {
	t.Helper()
	var ts tuf.SignedTimestamp
	if err := json.Unmarshal([]byte(message), &ts); err != nil {
		t.Fatal(err)
	}
	return ts.Version
}

// TestOwnExpired: a timestamp whose writing had no clear end is this signer's own, also
// when it is seen for the first time after it expired.
func TestOwnExpired(t *testing.T) {
	layouts(t, func(t *testing.T, b *bench) {
		b.remembering()
		b.check(b.service())
		b.clock.add(11 * time.Hour)
		b.store.put = func(real func() error) error {
			b.store.getErr = errors.New("connection reset")
			return real()
		}
		if res, err := b.service().Check(t.Context(), Request{}); !errors.Is(err, ErrStore) {
			t.Fatalf("%+v, %v", res, err)
		}
		b.store.put, b.store.getErr = nil, nil
		b.clock.add(101 * time.Hour)
		if res := b.check(b.service()); res.Outcome != Signed || res.Version != 4 {
			t.Errorf("%+v", res)
		}
	})
}
