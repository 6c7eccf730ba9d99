// Package listen serves metrics and health: a listener for few and short requests, which
// nobody can hold open, fill or use to change anything. The unattended signer and the watch
// from outside share it.
package listen

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

// ErrAddress: an address that says too little or cannot be one.
var ErrAddress = errors.New("not an address to listen on")

// Error: the address could not be opened.
type Error struct{ Err error }

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// Handler serves /metrics, /healthz and /readyz, to GET and HEAD only. No endpoint
// changes anything.
func Handler(alive, ready func() error, g prometheus.Gatherer) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(g, promhttp.HandlerOpts{MaxRequestsInFlight: 4}))
	mux.Handle("GET /healthz", answer(alive))
	mux.Handle("GET /readyz", answer(ready))
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

// Open opens the listener. An address without a host would be every network of the
// machine, so that must be said: 0.0.0.0 or [::].
func Open(addr string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("%w: listening on %q: %w", ErrAddress, addr, err)
	}
	if host == "" {
		return nil, fmt.Errorf("%w: listening on %q: the host is missing; all networks are 0.0.0.0 or [::]", ErrAddress, addr)
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, &Error{err}
	}
	return l, nil
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
