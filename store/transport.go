package store

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/minio/minio-go/v7"
)

// defaultStall is how long a connection may stand still.
const defaultStall = time.Minute

// newTransport is the client library's own transport, plus the CA file, plus an end
// to connections on which nothing moves any more.
func newTransport(loc Location, o OpenOptions) (http.RoundTripper, error) {
	tr, err := minio.DefaultTransport(!loc.Plain)
	if err != nil {
		return nil, fmt.Errorf("preparing the connection to %q: %w", loc, err)
	}
	for _, file := range []string{os.Getenv("AWS_CA_BUNDLE"), o.CAFile} {
		if file == "" || loc.Plain {
			continue
		}
		if err := trustFile(tr, file); err != nil {
			return nil, err
		}
	}
	stall := o.StallTimeout
	if stall == 0 {
		stall = defaultStall
	}
	tr.ResponseHeaderTimeout = stall
	dialer := &net.Dialer{Timeout: min(stall, 30*time.Second), KeepAlive: 30 * time.Second}
	tr.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dialer.DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &stallConn{Conn: c, limit: stall + 10*time.Second}, nil
	}
	var rt http.RoundTripper = tr
	if o.Wrap != nil {
		rt = o.Wrap(rt)
	}
	if o.Observe != nil {
		rt = &observer{next: rt, observe: o.Observe}
	}
	return rt, nil
}

// errNoCertificate: a CA file without any certificate.
var errNoCertificate = errors.New("no PEM certificate in it")

func trustFile(tr *http.Transport, file string) error {
	pem, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("reading CA file: %w", err)
	}
	if tr.TLSClientConfig == nil {
		tr.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	pool := tr.TLSClientConfig.RootCAs
	if pool == nil {
		if pool, err = x509.SystemCertPool(); err != nil {
			pool = x509.NewCertPool()
		}
	}
	if !pool.AppendCertsFromPEM(pem) {
		return fmt.Errorf("reading CA file %q: %w", file, errNoCertificate)
	}
	tr.TLSClientConfig.RootCAs = pool
	return nil
}

// stallConn ends a connection on which no byte moves for limit. Any movement, in
// either direction, is life: a long upload reads nothing until its end.
type stallConn struct {
	net.Conn
	limit time.Duration
}

func (c *stallConn) Read(p []byte) (int, error) {
	if err := c.SetDeadline(time.Now().Add(c.limit)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

func (c *stallConn) Write(p []byte) (int, error) {
	if err := c.SetDeadline(time.Now().Add(c.limit)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// observer reports each request.
type observer struct {
	next    http.RoundTripper
	observe func(method string, took time.Duration, status int)
}

func (o *observer) RoundTrip(r *http.Request) (*http.Response, error) {
	start := time.Now()
	resp, err := o.next.RoundTrip(r)
	status := 0
	if resp != nil {
		status = resp.StatusCode
	}
	o.observe(r.Method, time.Since(start), status)
	return resp, err
}
