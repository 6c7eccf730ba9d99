package verify

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// stall is how long a transfer may stand still.
const stall = 60 * time.Second

// web is a web root behind http or https. It asks as agents do: plain GET of the
// URL, a slash and the name, with no query.
type web struct {
	base   string
	client *http.Client
}

func isURL(s string) bool {
	return strings.HasPrefix(s, "http://") || strings.HasPrefix(s, "https://")
}

func newWeb(o Options) (*web, error) {
	u, err := url.Parse(o.Source)
	if err != nil {
		return nil, err
	}
	if u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("URL %q: want http(s)://host/path, without query and fragment", u.Redacted())
	}
	transport, err := newTransport(o)
	if err != nil {
		return nil, err
	}
	return &web{strings.TrimRight(o.Source, "/"), &http.Client{Transport: transport}}, nil
}

func newTransport(o Options) (*http.Transport, error) {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.ResponseHeaderTimeout = stall
	t.MaxIdleConnsPerHost = 16
	t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: o.Insecure}
	if o.CAFile != "" {
		text, err := os.ReadFile(o.CAFile)
		if err != nil {
			return nil, err
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("%q holds no certificate in PEM", o.CAFile)
		}
		t.TLSClientConfig.RootCAs = pool
	}
	if o.CertFile != "" || o.KeyFile != "" {
		pair, err := tls.LoadX509KeyPair(o.CertFile, o.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("client certificate %q: %w", o.CertFile, err)
		}
		t.TLSClientConfig.Certificates = []tls.Certificate{pair}
	}
	return t, nil
}

// do sends one request; any answer but 200 is an error.
func (w *web) do(ctx context.Context, method, name string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, w.base+"/"+name, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "fleet-hsm-verify")
	res, err := w.client.Do(req)
	if err != nil {
		return nil, withoutURL(err)
	}
	if res.StatusCode == http.StatusOK {
		return res, nil
	}
	io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10))
	res.Body.Close()
	if res.StatusCode == http.StatusNotFound {
		return nil, errMissing
	}
	return nil, &statusError{res.StatusCode, res.Status}
}

// withoutURL keeps credentials that a URL may hold out of findings.
func withoutURL(err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		return ue.Err
	}
	return err
}

func (w *web) fetch(ctx context.Context, name string) (blob, error) {
	c, res, err := w.stream(ctx, name)
	if err != nil {
		return blob{}, err
	}
	defer c.Close()
	if c.size > maxMetadata {
		return blob{}, fmt.Errorf("%w: %d bytes", errTooLarge, c.size)
	}
	data, err := readLimited(c)
	if err != nil {
		return blob{}, labelled(c.unpacked, err)
	}
	b := blob{data: data, announced: c.size}
	if t, err := http.ParseTime(res.Header.Get("Last-Modified")); err == nil {
		b.modified = t
	}
	return b, nil
}

func (w *web) open(ctx context.Context, name string) (content, error) {
	c, _, err := w.stream(ctx, name)
	return c, err
}

// stream ends a transfer that stands still, however long the whole may take.
func (w *web) stream(ctx context.Context, name string) (content, *http.Response, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	res, err := w.do(ctx, http.MethodGet, name)
	if err != nil {
		cancel(nil)
		return content{}, nil, err
	}
	body := &stallReader{body: res.Body, ctx: ctx, cancel: cancel}
	body.timer = time.AfterFunc(stall, func() {
		cancel(fmt.Errorf("no byte came for %s", stall))
	})
	return content{body, res.ContentLength, res.Uncompressed}, res, nil
}

type stallReader struct {
	body   io.ReadCloser
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
}

func (s *stallReader) Read(p []byte) (int, error) {
	n, err := s.body.Read(p)
	if n > 0 {
		s.timer.Reset(stall)
	}
	if err != nil && err != io.EOF && context.Cause(s.ctx) != nil {
		err = context.Cause(s.ctx)
	}
	return n, err
}

func (s *stallReader) Close() error {
	s.timer.Stop()
	err := s.body.Close()
	s.cancel(nil)
	return err
}

// stat asks with HEAD first; only the answer to GET counts against a server, since
// agents never send HEAD.
func (w *web) stat(ctx context.Context, name string) (int64, string, error) {
	if res, err := w.do(ctx, http.MethodHead, name); err == nil {
		res.Body.Close()
		if res.ContentLength >= 0 {
			return res.ContentLength, "", nil
		}
	}
	c, _, err := w.stream(ctx, name)
	if err != nil {
		return 0, "", err
	}
	c.Close()
	return c.size, "", nil
}

func (w *web) roots() ([]int64, bool) { return nil, false }
func (w *web) leftovers() []string    { return nil }
func (w *web) close()                 { w.client.CloseIdleConnections() }
