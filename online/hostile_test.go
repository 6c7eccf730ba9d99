package online

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/store"
	"github.com/fleet-hsm/fleet-hsm/store/repotest"
)

// hostileStore lies about an honest store behind it, as long as it is told to: it plays
// back older files, mixes generations, cuts off, waits, forges timestamps with a retired
// key, and loses or delays writes.
type hostileStore struct {
	store.Plain
	retired ed25519.PrivateKey
	sign    func(signed any, keys ...ed25519.PrivateKey) []byte

	mu     sync.Mutex
	evil   bool
	past   map[string][][]byte // every content that a file had
	counts map[string]int
}

func (h *hostileStore) lie(kind string, odds int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.evil || rand.IntN(odds) != 0 {
		return false
	}
	h.counts[kind]++
	return true
}

func (h *hostileStore) set(evil bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.evil = evil
}

// older is any content that the file had, nil if it has had none.
func (h *hostileStore) older(name string) []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	if n := len(h.past[name]); n > 0 {
		return h.past[name][rand.IntN(n)]
	}
	return nil
}

func (h *hostileStore) keep(name string, data []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if all := h.past[name]; len(all) == 0 || string(all[len(all)-1]) != string(data) {
		h.past[name] = append(all, data)
	}
}

func (h *hostileStore) forged() []byte {
	version := []int64{1, 7, 5000, tuf.MaxVersion - 2, tuf.MaxVersion, 1 << 62}[rand.IntN(6)]
	return h.sign(map[string]any{
		"_type": "timestamp", "spec_version": "1.0", "version": version, "expires": time.Now().Add(time.Duration(rand.IntN(2000)-1000) * time.Hour).UTC().Format(time.RFC3339),
		"meta": map[string]any{"snapshot.json": map[string]any{"version": 1 + rand.IntN(9)}},
	}, h.retired)
}

func (h *hostileStore) Get(ctx context.Context, name string, limit int64) ([]byte, string, time.Time, error) {
	if h.lie("delay", 12) {
		select {
		case <-ctx.Done():
			return nil, "", time.Time{}, ctx.Err()
		case <-time.After(time.Duration(rand.IntN(400)) * time.Millisecond):
		}
	}
	data, etag, date, err := h.Plain.Get(ctx, name, limit)
	if err == nil {
		h.keep(name, data)
	}
	switch {
	case name == "timestamp.json" && h.lie("forge", 5):
		return h.forged(), etag, date, nil
	case h.lie("hide", 12):
		return nil, "", date, fs.ErrNotExist
	case h.lie("truncate", 10) && len(data) > 0:
		return data[:rand.IntN(len(data))], etag, date, nil
	case h.lie("replay", 2):
		if old := h.older(name); old != nil {
			return old, etag, date, nil
		}
	}
	return data, etag, date, err
}

func (h *hostileStore) PutTimestamp(ctx context.Context, data []byte, etag string, consistent bool) error {
	if h.lie("lose a write", 3) {
		return errors.New("connection reset")
	}
	err := h.Plain.PutTimestamp(ctx, data, etag, consistent)
	if h.lie("lose an answer", 3) {
		return errors.New("connection reset")
	}
	return err
}

// recordingKey notes what it was made to sign.
type recordingKey struct {
	key  ed25519.PrivateKey
	mu   sync.Mutex
	made []made
}

func (k *recordingKey) Name() string                                          { return "pkcs11:token=test" }
func (k *recordingKey) Open(context.Context, []crypto.PublicKey) (Key, error) { return k, nil }
func (k *recordingKey) Public() crypto.PublicKey                              { return k.key.Public() }
func (k *recordingKey) Close() error                                          { return nil }

func (k *recordingKey) Sign(_ context.Context, message []byte) ([]byte, error) {
	var ts tuf.SignedTimestamp
	if err := json.Unmarshal(message, &ts); err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.made = append(k.made, made{ts.Version, ts.Meta["snapshot.json"].Version, string(message)})
	return ed25519.Sign(k.key, message), nil
}

// made is a signature, and over what.
type made struct {
	version, snapshot int64
	message           string
}

// follows reports whether a signature may come after another: over a higher version, or
// over the same bytes, as after a process that ended before it could keep its signature.
func (m made) follows(before made) bool {
	return m.snapshot >= before.snapshot && (m.version > before.version || m.message == before.message)
}

// victim is one instance, restarted now and then with nothing but its state file.
type victim struct {
	cfg Config
	key *recordingKey
	log *syncLog
	mu  sync.Mutex
	// good counts checks that went well.
	good int
}

func (v *victim) checked() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.good
}

func (v *victim) run(ctx context.Context, t *testing.T) {
	for ctx.Err() == nil {
		life, end := context.WithTimeout(ctx, time.Duration(500+rand.IntN(3000))*time.Millisecond)
		s, err := New(v.cfg)
		if err == nil {
			err = errors.Join(s.Run(life), s.Close())
		}
		if err != nil {
			t.Error(err)
		}
		end()
	}
}

type syncLog struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *syncLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// TestHostileStore: two instances on a bucket that lies, and is honest again for a while.
// Neither signs over anything older than it signed before or gives a version two contents,
// none is left out, and both go on by themselves when the bucket is honest. What nobody can
// prevent: shown an old file under the newest ETag, one writes its own next version over
// the other's of the same number, since they know of each other through the bucket alone.
func TestHostileStore(t *testing.T) {
	length := 12 * time.Second
	if os.Getenv("FLEET_HSM_LONG") != "" {
		length = 10 * time.Minute
	}
	b := newBench(t, true)
	retired := b.repo.Keys["timestamp"][0]
	key := repotest.NewKey(t)
	b.repo.Keys["timestamp"] = []ed25519.PrivateKey{key}
	b.repo.Root()
	b.repo.Commit()
	b.publish()
	h := &hostileStore{Plain: store.Plain{Store: b.raw}, retired: retired, sign: b.repo.Sign, past: map[string][][]byte{}, counts: map[string]int{}}
	reg := prometheus.NewRegistry()
	metrics := NewMetrics(reg, nil)
	var victims []*victim
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for i := range 2 {
		v := &victim{key: &recordingKey{key: key}, log: &syncLog{}}
		v.cfg = Config{
			Store: h, Root: b.repo.Read("1.root.json"), Keys: []KeySource{v.key}, Metrics: metrics, Expires: 8 * time.Second, RenewBefore: 6 * time.Second,
			AllowShorter: true, Interval: 200 * time.Millisecond, StoreTimeout: 300 * time.Millisecond, CheckTimeout: 2 * time.Second,
			StateFile: filepath.Join(t.TempDir(), fmt.Sprintf("%d.json", i)), Logger: slog.New(slog.NewTextHandler(v.log, nil)),
			Beat: func(ok bool) {
				v.mu.Lock()
				defer v.mu.Unlock()
				if ok {
					v.good++
				}
			},
		}
		victims = append(victims, v)
		running.Go(func() { v.run(ctx, t) })
	}
	seen := make(chan []published)
	go func() { seen <- history(ctx, t, b.raw) }()
	recovered := 0
	for end := time.Now().Add(length); time.Now().Before(end); recovered++ {
		b.recovers(victims)
		h.set(true)
		time.Sleep(time.Duration(1500+rand.IntN(2000)) * time.Millisecond)
		h.set(false)
		b.recovers(victims)
		b.pull()
		b.repo.Targets[fmt.Sprintf("orbit/linux/1.%d/orbit", recovered)] = fmt.Append(nil, recovered)
		b.repo.CommitWithoutTimestamp()
		b.publishWithoutTimestamp()
	}
	b.recovers(victims)
	cancel()
	running.Wait()
	judgeHistory(t, <-seen, victims)
	signatures := 0
	for i, v := range victims {
		signatures += len(v.key.made)
		for j, m := range v.key.made {
			if j > 0 && !m.follows(v.key.made[j-1]) {
				t.Errorf("instance %d signed %+v after %+v", i, m, v.key.made[j-1])
			}
		}
		if t.Failed() {
			t.Logf("instance %d:\n%s", i, tail(v.log.b.String(), 4000))
		}
	}
	t.Logf("%d recoveries, %d signatures, %v refusals as going back; lies: %v", recovered, signatures, wentBack(t, reg), h.counts)
	for _, kind := range []string{"replay", "truncate", "delay", "forge"} {
		if h.counts[kind] == 0 {
			t.Errorf("it never came to: %s", kind)
		}
	}
	if wentBack(t, reg) == 0 || signatures == 0 {
		t.Error("nothing was refused, or nothing signed")
	}
}

// recovers waits until each instance has had two good checks and the timestamp covers
// the newest snapshot.
func (b *bench) recovers(victims []*victim) {
	b.t.Helper()
	var from []int
	for _, v := range victims {
		from = append(from, v.checked())
	}
	for end := time.Now().Add(60 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		done := true
		for i, v := range victims {
			done = done && v.checked() >= from[i]+2
		}
		f, err := parse(b.timestamp(), roleTimestamp)
		if done && err == nil && f.Meta["snapshot.json"].Version == int64(b.repo.Version["snapshot"]) && time.Now().Before(f.Expires) {
			return
		}
		if time.Now().After(end) {
			for i, v := range victims {
				v.log.mu.Lock()
				b.t.Logf("instance %d:\n%s", i, tail(v.log.b.String(), 3000))
				v.log.mu.Unlock()
			}
			b.t.Fatal("no recovery in a minute of honesty")
		}
	}
}

// history is every timestamp that the honest store had.
func history(ctx context.Context, t *testing.T, raw store.Store) []published {
	var all []published
	for ctx.Err() == nil {
		o, err := store.Get(ctx, raw, "timestamp.json", tuf.MaxTimestamp)
		if err == nil {
			f, perr := parse(o.Data, roleTimestamp)
			if perr != nil {
				t.Error(perr)
				continue
			}
			if n := len(all); n == 0 || string(all[n-1].data) != string(o.Data) {
				all = append(all, published{file: f})
			}
		}
		time.Sleep(5 * time.Millisecond)
	}
	return all
}

func judgeHistory(t *testing.T, all []published, victims []*victim) {
	over := 0
	for i := 1; i < len(all); i++ {
		before, now := all[i-1], all[i]
		switch {
		case now.Version == before.Version && signedBy(victims, now) != signedBy(victims, before):
			over++
		case now.Version != before.Version+1:
			t.Errorf("version %d after %d", now.Version, before.Version)
		}
		if now.Meta["snapshot.json"].Version < before.Meta["snapshot.json"].Version {
			t.Errorf("version %d covers an older snapshot than %d", now.Version, before.Version)
		}
	}
	t.Logf("%d timestamps were published, %d of them over the other instance's of that version", len(all), over)
}

// signedBy is the instance that signed a timestamp, -1 for none.
func signedBy(victims []*victim, p published) int {
	for i, v := range victims {
		for _, m := range v.key.made {
			if m.message == string(p.message) {
				return i
			}
		}
	}
	return -1
}
