package watch_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/watch"
)

// TestHostileServer: bodies without an end, nesting, null bytes and numbers that cannot be
// are findings, and cost neither memory nor the process.
func TestHostileServer(t *testing.T) {
	endless := func(w http.ResponseWriter) {
		block := []byte(strings.Repeat(" ", 1<<16))
		for {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	}
	for name, answer := range map[string]func(w http.ResponseWriter){
		"endless": endless,
		"nested":  func(w http.ResponseWriter) { _, _ = io.WriteString(w, strings.Repeat("[", 1<<20)) },
		"null":    func(w http.ResponseWriter) { _, _ = io.WriteString(w, `{"signed":null,"signatures":null}`) },
		"number": func(w http.ResponseWriter) {
			_, _ = io.WriteString(w, `{"signatures":[],"signed":{"_type":"timestamp","spec_version":"1.0","version":99999999999999999999,"expires":"2030-01-01T00:00:00Z","meta":{}}}`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPublisher(t)
			good := p.site()
			bad := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answer(w) }))
			defer bad.Close()
			b := p.watch(p.address("good", nil, good.url), p.address("bad", nil, bad.URL))
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			b.poll()
			runtime.GC()
			runtime.ReadMemStats(&after)
			for _, e := range b.events {
				if e.Address != "bad" {
					t.Errorf("the good address is blamed: %s", e)
				}
			}
			if len(b.events) == 0 {
				t.Error("nothing was told")
			}
			if after.HeapInuse > before.HeapInuse+40<<20 {
				t.Errorf("%d MiB are kept", (after.HeapInuse-before.HeapInuse)>>20)
			}
		})
	}
}

// TestState: what cannot be a state file is refused, never overwritten.
func TestState(t *testing.T) {
	p, _, _, b := stage(t)
	good, err := os.ReadFile(b.cfg.StateFile)
	check(t, err)
	for name, text := range map[string]string{
		"empty": "", "cut off": string(good[:len(good)/2]), "schema": strings.Replace(string(good), `"schema":1`, `"schema":9`, 1),
		"null role": strings.Replace(string(good), `"roles":{`, `"roles":{"x":null,`, 1), "null finding": strings.Replace(string(good), `"open":null`, `"open":[null]`, 1),
	} {
		check(t, os.WriteFile(b.cfg.StateFile, []byte(text), 0o600))
		if _, err := watch.New(b.cfg); err == nil {
			t.Errorf("%s: taken", name)
		}
		if now, _ := os.ReadFile(b.cfg.StateFile); string(now) != text {
			t.Errorf("%s: overwritten", name)
		}
	}
	check(t, os.WriteFile(b.cfg.StateFile, good, 0o600))
	p.rotate("root")
	b.cfg.Root = p.files["root.json"]
	if _, err := watch.New(b.cfg); err == nil || !strings.Contains(err.Error(), "another repository") {
		t.Errorf("another root: %v", err)
	}
}

// TestSignersLog: with the unattended signer's own log, a timestamp that was due counts only
// if it is in there.
func TestSignersLog(t *testing.T) {
	for _, logs := range []bool{false, true} {
		p, _, _, b := stage(t)
		p.silent = true
		p.clock.now = p.clock.now.Add(7 * day)
		p.renew()
		if logs {
			signer := t.TempDir() + "/signer.log"
			p.logOnline(signer)
			b.cfg.Transcripts = append(b.cfg.Transcripts, signer)
		}
		b.start()
		b.poll()
		if got := b.heard(attack{want: watch.NotOurs, role: "timestamp"}); got != logs {
			t.Errorf("the signer logs: %v; accused: %v", logs, got)
		}
	}
}

// TestDaemon: metrics and health are served, and an end that was asked for is no error.
func TestDaemon(t *testing.T) {
	p := newPublisher(t)
	site := p.site()
	site.status["2.root.json"] = 403
	b := p.watch(p.address("origin", nil, site.url))
	ctx, stop := context.WithCancel(t.Context())
	at := make(chan string, 1)
	polled := make(chan bool, 8)
	b.cfg.Clock = &pausing{p.clock, polled}
	d := watch.Daemon{Config: b.cfg, Listen: "127.0.0.1:0", Listening: func(a net.Addr) { at <- a.String() }, Log: slog.New(slog.DiscardHandler)}
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	base := "http://" + <-at
	<-polled
	text := get(t, base+"/metrics", 200)
	for _, want := range []string{
		`fleet_hsm_watch_findings{address="origin",kind="next-root"} 1`, `fleet_hsm_watch_findings{address="origin",kind="differs"} 0`,
		`fleet_hsm_watch_events_total{kind="next-root"} 1`, `fleet_hsm_watch_role_version{address="origin",role="targets"} 1`,
		`fleet_hsm_watch_looks_total{address="origin",outcome="found"} 1`, `fleet_hsm_watch_role_expiry_seconds{address="origin",role="root"} 3.15`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	get(t, base+"/healthz", 200)
	get(t, base+"/readyz", 200)
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// pausing sleeps between polls until the context ends.
type pausing struct {
	*clock
	polled chan bool
}

func (c *pausing) Sleep(ctx context.Context, d time.Duration) error {
	if d < time.Minute {
		return c.clock.Sleep(ctx, d)
	}
	c.polled <- true
	<-ctx.Done()
	return ctx.Err()
}

func get(t *testing.T, url string, want int) string {
	t.Helper()
	res, err := http.Get(url)
	check(t, err)
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	check(t, err)
	if res.StatusCode != want {
		t.Errorf("%s: %s %s", url, res.Status, text)
	}
	return string(text)
}
