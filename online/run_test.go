package online

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fleet-hsm/fleet-hsm/internal/listen"
	"github.com/fleet-hsm/fleet-hsm/store"
	"github.com/fleet-hsm/fleet-hsm/store/repotest"
)

// TestRunThroughOutage: the store is away for hours, checks slow down but go on, and
// the first one after it signs.
func TestRunThroughOutage(t *testing.T) {
	b := newBench(t, true)
	reg := prometheus.NewRegistry()
	b.cfg.Metrics = NewMetrics(reg, b.clock.Now)
	ctx, cancel := context.WithCancel(t.Context())
	start := b.clock.Now()
	var pauses []time.Duration
	away := false
	b.clock.slept = func(d time.Duration) {
		at := b.clock.Now().Sub(start)
		if away {
			pauses = append(pauses, d)
		}
		away = at > time.Hour && at < 12*time.Hour
		b.store.mu.Lock()
		b.store.getErr = nil
		if away {
			b.store.getErr = errors.New("store away")
		}
		b.store.mu.Unlock()
		if at > 24*time.Hour {
			cancel()
		}
	}
	s := b.service()
	if err := s.Run(ctx); err != nil {
		t.Fatal(err)
	}
	for i, p := range pauses {
		if p <= 0 || p > b.cfg.Interval {
			t.Errorf("pause %d is %s", i, p)
		}
	}
	if len(pauses) < 100 || pauses[0] > 2*time.Second {
		t.Errorf("%d pauses, the first %s", len(pauses), pauses[0])
	}
	if n := value(t, reg, "fleet_hsm_signatures_total", b.key.Name()); n != 1 {
		t.Errorf("%v signatures in a day", n)
	}
	if n := value(t, reg, "fleet_hsm_failures_total", "store"); n != float64(len(pauses)) {
		t.Errorf("%v failures counted, %d pauses", n, len(pauses))
	}
	log := b.log.String()
	if !strings.Contains(log, `"left":"`) || !strings.Contains(log, `"cause":"store"`) {
		t.Errorf("the log does not say how long is left")
	}
}

// value reads a counter by the value of its label.
func value(t *testing.T, g prometheus.Gatherer, name, label string) float64 {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && len(m.GetLabel()) == 1 && m.GetLabel()[0].GetValue() == label {
				return m.GetCounter().GetValue()
			}
		}
	}
	return 0
}

// TestRunRenewsInTime: a year of simulated time, never expired, about one signature
// for each half of the validity.
func TestRunRenewsInTime(t *testing.T) {
	b := newBench(t, true)
	b.repo.Expires["targets"] = time.Now().Add(20000 * time.Hour)
	b.repo.Expires["snapshot"] = b.repo.Expires["targets"]
	b.repo.Expires["root"] = b.repo.Expires["targets"]
	b.repo.Root()
	b.repo.Commit()
	b.publish()
	b.cfg.Interval = 5 * time.Hour
	ctx, cancel := context.WithCancel(t.Context())
	s := b.service()
	b.clock.slept = func(time.Duration) {
		s.health.mu.Lock()
		expires := s.health.expires
		s.health.mu.Unlock()
		if !b.clock.Now().Before(expires) {
			t.Errorf("expired at %s", expires)
		}
		if b.clock.Now().After(time.Now().Add(365 * 24 * time.Hour)) {
			cancel()
		}
	}
	if err := s.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if least := 365 * 24 / 100; b.key.signed < least || b.key.signed > 3*least {
		t.Errorf("%d signatures in a year at a validity of 100 hours", b.key.signed)
	}
}

func TestHandler(t *testing.T) {
	b := newBench(t, true)
	reg := prometheus.NewRegistry()
	b.cfg.Metrics = NewMetrics(reg, b.clock.Now)
	s := b.service()
	l, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- listen.Serve(ctx, l, Handler(s, reg)) }()
	ask := func(method, path string, want int) string {
		t.Helper()
		req, err := http.NewRequest(method, "http://"+l.Addr().String()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		body, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != want {
			t.Errorf("%s %s: %d, want %d: %s", method, path, resp.StatusCode, want, body)
		}
		return string(body)
	}
	ask("GET", "/healthz", 200)
	ask("GET", "/readyz", 503)
	b.check(s)
	ask("GET", "/readyz", 200)
	ask("POST", "/readyz", 405)
	ask("GET", "/", 404)
	metrics := ask("GET", "/metrics", 200)
	for _, name := range []string{`fleet_hsm_role_expiry_seconds{role="timestamp"}`, `fleet_hsm_role_expiry_seconds{role="targets"}`, `fleet_hsm_failures_total{cause="expired"} 0`, "fleet_hsm_last_success_timestamp_seconds", "fleet_hsm_store_request_seconds_bucket"} {
		if !strings.Contains(metrics, name) {
			t.Errorf("%s is absent", name)
		}
	}
	b.clock.add(2000 * time.Hour)
	if _, err := s.Check(t.Context(), Request{}); err == nil {
		t.Fatal("expired and well")
	}
	ask("GET", "/readyz", 503)
	if !strings.Contains(ask("GET", "/metrics", 200), `fleet_hsm_role_expiry_seconds{role="timestamp"} -`) {
		t.Error("the time left does not fall below zero")
	}
	b.clock.add(24 * time.Hour)
	ask("GET", "/healthz", 503)
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func TestListen(t *testing.T) {
	for _, addr := range []string{":9471", "9471", "", "127.0.0.1"} {
		if l, err := Listen(addr); !errors.Is(err, ErrConfig) {
			t.Errorf("%q: %v, %v", addr, l, err)
		}
	}
	if host, _, err := net.SplitHostPort(DefaultListen); err != nil || !net.ParseIP(host).IsLoopback() {
		t.Errorf("the default is %q", DefaultListen)
	}
}

// TestAliveWhileTheDeviceIsSilent: some modules reach their device again only in a new
// process.
func TestAliveWhileTheDeviceIsSilent(t *testing.T) {
	silence := errors.New("no answer")
	for name, c := range map[string]struct {
		err  error
		dies bool
	}{
		"silent":     {fmt.Errorf("opening: %w", silence), true},
		"other word": {errors.New("wrong PIN"), false},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, true)
			b.cfg.Silent = func(err error) bool { return errors.Is(err, silence) }
			s := b.service()
			b.key.gone = c.err
			for range maxSilent {
				if err := s.Alive(); err != nil {
					t.Fatalf("too early: %v", err)
				}
				if _, err := s.Check(t.Context(), Request{Always: true}); err == nil {
					t.Fatal("signed without a key")
				}
			}
			if err := s.Alive(); (err != nil) != c.dies {
				t.Errorf("Alive is %v", err)
			}
			b.key.gone = nil
			if _, err := s.Check(t.Context(), Request{Always: true}); err != nil {
				t.Fatal(err)
			}
			if err := s.Alive(); err != nil {
				t.Errorf("after a signature: %v", err)
			}
		})
	}
}

// TestAliveBeforeTheFirstCheck: a first check that hangs is found out like any other.
func TestAliveBeforeTheFirstCheck(t *testing.T) {
	r := repotest.New(t, true)
	clock := &fakeClock{now: time.Now()}
	s, err := New(Config{Store: store.Plain{Store: open(t, "file://"+r.Dir)}, Root: r.Read("1.root.json"), Clock: clock, Keys: []KeySource{&memKey{key: r.Keys["timestamp"][0]}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Alive(); err != nil {
		t.Errorf("at the start: %v", err)
	}
	clock.add(time.Hour)
	if s.Alive() == nil {
		t.Error("alive after an hour in the first check")
	}
}
