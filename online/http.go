package online

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// DefaultListen is where the listener is unless somebody says otherwise.
const DefaultListen = "127.0.0.1:9471"

// Limits of the listener. Nothing it serves is large or slow, and no request has a
// body that is read.
const (
	maxHeader       = 8 << 10 // bytes
	maxConnections  = 64
	readTimeout     = 5 * time.Second
	writeTimeout    = 10 * time.Second
	idleTimeout     = 30 * time.Second
	shutdownTimeout = 5 * time.Second
)

// health is what the two health endpoints answer from.
type health struct {
	mu      sync.Mutex
	checks  int
	at      time.Time // of the last check
	err     error     // of the last check
	expires time.Time // of the timestamp last seen, zero if none
	silent  int       // checks in a row that failed because a key's device did not answer
}

// maxSilent is how many of them say that this process will not reach the device again.
const maxSilent = 5

func (h *health) checked(at time.Time, err error, last *published, silent bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.checks++
	h.at, h.err = at, err
	if last != nil {
		h.expires = last.Expires
	}
	if silent {
		h.silent++
	} else {
		h.silent = 0
	}
}

// Alive says whether checks still take place: the last one is not older than three
// intervals and the time that two checks may take. A failing store is no
// reason to restart a process. A key's device that does not answer for some checks is:
// there are modules whose connection comes back only in a new process (Caml Crush), or
// whose call never does.
func (s *Service) Alive() error {
	s.health.mu.Lock()
	defer s.health.mu.Unlock()
	limit := 3*s.cfg.Interval + 2*s.cfg.CheckTimeout
	if age := s.now().Sub(s.health.at); age > limit {
		return fmt.Errorf("no check for %s", age.Round(time.Second))
	}
	if s.health.silent >= maxSilent {
		return fmt.Errorf("the key's device did not answer in %d checks; a new process may reach it", s.health.silent)
	}
	return nil
}

// Ready says whether the last check went well and the timestamp has not expired.
func (s *Service) Ready() error {
	s.health.mu.Lock()
	defer s.health.mu.Unlock()
	switch {
	case s.health.checks == 0:
		return errors.New("no check yet")
	case s.health.err != nil:
		return fmt.Errorf("the last check failed: %s", Cause(s.health.err))
	case !s.health.expires.IsZero() && !s.now().Before(s.health.expires):
		return errors.New("the timestamp has expired")
	}
	return nil
}

// Handler serves /metrics, /healthz and /readyz, to GET and HEAD only. No endpoint
// changes anything.
func Handler(s *Service, g prometheus.Gatherer) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(g, promhttp.HandlerOpts{MaxRequestsInFlight: 4}))
	mux.Handle("GET /healthz", answer(s.Alive))
	mux.Handle("GET /readyz", answer(s.Ready))
	return mux
}

func answer(f func() error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		if err := f(); err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = fmt.Fprintln(w, err)
			return
		}
		_, _ = fmt.Fprintln(w, "ok")
	})
}

// Listen opens the listener. An address without a host would be every network of the
// machine, so that must be said: 0.0.0.0 or [::].
func Listen(addr string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("%w: listening on %q: %w", ErrConfig, addr, err)
	}
	if host == "" {
		return nil, fmt.Errorf("%w: listening on %q: the host is missing; all networks are 0.0.0.0 or [::]", ErrConfig, addr)
	}
	return net.Listen("tcp", addr)
}

// Serve serves h on l until the context ends.
func Serve(ctx context.Context, l net.Listener, h http.Handler) error {
	srv := &http.Server{
		Handler: h, MaxHeaderBytes: maxHeader, ReadHeaderTimeout: readTimeout, ReadTimeout: readTimeout,
		WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
	}
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		sctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		if srv.Shutdown(sctx) != nil {
			_ = srv.Close()
		}
	})
	err := srv.Serve(&limited{Listener: l, free: make(chan struct{}, maxConnections)})
	if !stop() {
		<-stopped
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// limited accepts so many connections at once; more wait.
type limited struct {
	net.Listener
	free chan struct{}
}

func (l *limited) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	select {
	case l.free <- struct{}{}:
		return &counted{Conn: c, release: sync.OnceFunc(func() { <-l.free })}, nil
	default:
		// Rather than let the queue grow: whoever holds the others must not shut out
		// those who come later for long.
		_ = c.Close()
		return &counted{Conn: c, release: func() {}}, nil
	}
}

type counted struct {
	net.Conn
	release func()
}

func (c *counted) Close() error {
	c.release()
	return c.Conn.Close()
}
