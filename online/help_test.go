package online

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/store"
	"github.com/fleet-hsm/fleet-hsm/store/judge"
	"github.com/fleet-hsm/fleet-hsm/store/repotest"
	"github.com/fleet-hsm/fleet-hsm/store/s3test"
)

func TestMain(m *testing.M) {
	s3test.Setenv()
	if arg := os.Getenv("ONLINE_TEST_INSTANCE"); arg != "" {
		if err := runInstance(arg); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	var err error
	if client.Dir, err = os.MkdirTemp("", "online-test-"); err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(client.Dir)
	os.Exit(code)
}

// client builds Fleet's client for the tests that ask it; its folder is TestMain's.
var client = &judge.Builder{}

// fakeClock stands still unless somebody sleeps on it or moves it.
type fakeClock struct {
	mu  sync.Mutex
	now time.Time
	// slept hears every pause; it may move the clock or cancel a context.
	slept func(d time.Duration)
}

func (c *fakeClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *fakeClock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func (c *fakeClock) Sleep(ctx context.Context, d time.Duration) error {
	c.add(d)
	if c.slept != nil {
		c.slept(d)
	}
	return ctx.Err()
}

// memKey is a key in memory that can be made to fail.
type memKey struct {
	key    ed25519.PrivateKey
	hidden bool // Public says nil, as an encrypted file before it is unlocked
	mu     sync.Mutex
	fail   error // of signatures until it is opened again
	gone   error // of openings
	opened int
	signed int
	evil   bool
}

func (k *memKey) Name() string { return "pkcs11:token=test" }

func (k *memKey) Open(context.Context, []crypto.PublicKey) (Key, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.gone != nil {
		return nil, k.gone
	}
	k.opened++
	k.fail = nil
	return k, nil
}

func (k *memKey) Public() crypto.PublicKey {
	if k.hidden {
		return nil
	}
	return k.key.Public()
}

func (k *memKey) Sign(_ context.Context, message []byte) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.fail != nil {
		return nil, k.fail
	}
	k.signed++
	sig := ed25519.Sign(k.key, message)
	if k.evil {
		sig[0] ^= 1
	}
	return sig, nil
}

func (k *memKey) Close() error { return nil }

func (k *memKey) setFail(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.fail = err
}

// fakeStore wraps a real store, counts, and can fail or lie.
type fakeStore struct {
	store.Plain
	mu     sync.Mutex
	gets   []string
	puts   int
	date   time.Time
	getErr error
	noETag bool
	// put, if not nil, takes the place of PutTimestamp; real is the real one.
	put func(real func() error) error
}

func (f *fakeStore) Get(ctx context.Context, name string, limit int64) ([]byte, string, time.Time, error) {
	f.mu.Lock()
	f.gets = append(f.gets, name)
	err, date, noETag := f.getErr, f.date, f.noETag
	f.mu.Unlock()
	if err != nil {
		return nil, "", time.Time{}, err
	}
	data, etag, d, err := f.Plain.Get(ctx, name, limit)
	if !date.IsZero() {
		d = date
	}
	if noETag {
		etag = ""
	}
	return data, etag, d, err
}

func (f *fakeStore) PutTimestamp(ctx context.Context, data []byte, etag string, consistent bool) error {
	f.mu.Lock()
	f.puts++
	put := f.put
	f.mu.Unlock()
	real := func() error { return f.Plain.PutTimestamp(ctx, data, etag, consistent) }
	if put != nil {
		return put(real)
	}
	return real()
}

func (f *fakeStore) reset() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.gets, f.puts = nil, 0
}

// bench is everything that a test needs.
type bench struct {
	t     *testing.T
	repo  *repotest.Repo
	store *fakeStore
	raw   store.Store
	clock *fakeClock
	key   *memKey
	cfg   Config
	log   *strings.Builder
}

func open(t testing.TB, url string) store.Store {
	t.Helper()
	loc, err := store.Parse(url)
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(loc, store.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// newBench publishes a repository into a folder, with a timestamp that is good for
// 1000 hours, and configures a service of 100 hours' validity.
func newBench(t *testing.T, consistent bool) *bench {
	t.Helper()
	raw := open(t, "file://"+t.TempDir())
	b := &bench{t: t, repo: repotest.New(t, consistent), raw: raw, store: &fakeStore{Plain: store.Plain{Store: raw}}, log: &strings.Builder{}}
	b.repo.Targets["orbit/linux/stable/orbit"] = []byte("orbit")
	b.repo.Expires["timestamp"] = time.Now().Add(60 * time.Hour)
	b.repo.Commit()
	b.publish()
	b.clock = &fakeClock{now: time.Now()}
	b.key = &memKey{key: b.repo.Keys["timestamp"][0]}
	b.cfg = Config{
		Store: b.store, Root: b.repo.Read("1.root.json"), Keys: []KeySource{b.key}, Clock: b.clock,
		Expires: 100 * time.Hour, Interval: time.Minute, Logger: slog.New(slog.NewJSONHandler(b.log, nil)),
	}
	return b
}

func (b *bench) publish() {
	b.t.Helper()
	b.publishAs(store.Options{Dir: b.repo.Dir})
}

func (b *bench) publishWithoutTimestamp() {
	b.t.Helper()
	b.publishAs(store.Options{Dir: b.repo.Dir, WithoutTimestamp: true})
}

func (b *bench) publishAs(o store.Options) {
	b.t.Helper()
	p, err := store.MakePlan(b.t.Context(), b.raw, o)
	if err == nil {
		_, err = p.Publish(b.t.Context())
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

// pull brings the store's timestamp into the repository.
func (b *bench) pull() {
	b.t.Helper()
	res, err := store.Pull(b.t.Context(), b.raw, store.PullOptions{Dir: b.repo.Dir})
	if err != nil {
		b.t.Fatal(err)
	}
	b.repo.Version["timestamp"] = int(res.Versions["timestamp"])
}

func (b *bench) service() *Service {
	b.t.Helper()
	s, err := New(b.cfg)
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

func (b *bench) check(s *Service) Result {
	b.t.Helper()
	res, err := s.Check(b.t.Context(), Request{})
	if err != nil {
		b.t.Fatal(err)
	}
	return res
}

func (b *bench) mustFail(s *Service, want error) {
	b.t.Helper()
	before := b.timestamp()
	if res, err := s.Check(b.t.Context(), Request{}); !errors.Is(err, want) {
		b.t.Errorf("%+v, %v; want %v", res, err, want)
	}
	if string(b.timestamp()) != string(before) {
		b.t.Error("timestamp.json has changed")
	}
}

func (b *bench) timestamp() []byte {
	b.t.Helper()
	o, err := store.Get(b.t.Context(), b.raw, "timestamp.json", 1<<20)
	if err != nil {
		b.t.Fatal(err)
	}
	return o.Data
}

func (b *bench) put(name string, data []byte) {
	b.t.Helper()
	if _, err := b.raw.Put(b.t.Context(), name, store.Bytes(data), store.PutOptions{}); err != nil {
		b.t.Fatal(err)
	}
}

// layouts runs a test with both layouts.
func layouts(t *testing.T, f func(t *testing.T, b *bench)) {
	for _, consistent := range []bool{false, true} {
		t.Run(fmt.Sprintf("consistent=%v", consistent), func(t *testing.T) {
			t.Parallel()
			f(t, newBench(t, consistent))
		})
	}
}
