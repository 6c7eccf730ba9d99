package s3test

import (
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/minio/minio-go/v7/pkg/signer"
)

// Fault is one thing that a bucket's rules, or something between it and us, do. A report
// from the field becomes one line in Faults.
type Fault struct {
	Name string
	// Answer, if not nil, may answer in the store's place; nil lets a request through.
	// It may change the request: the proxy signs it again.
	Answer func(*http.Request) *http.Response
	// Edit, if not nil, changes what the store answered.
	Edit func(*http.Response)
}

// Proxy stands in front of a Server, with TLS, and shows one Fault. It signs each request
// again with the server's keys, as gateways do.
type Proxy struct {
	// CAFile is what a client has to trust.
	CAFile string

	addr string
	mu   sync.Mutex
	seen []*http.Request
}

// Behind puts a Fault in front of the server; it is taken away when the test ends.
func (s *Server) Behind(t testing.TB, f Fault) *Proxy {
	t.Helper()
	p := &Proxy{CAFile: filepath.Join(t.TempDir(), "proxy.pem")}
	forward := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: s.Addr})
			r.Out.Host = s.Addr
			signAgain(r.Out)
		},
		ModifyResponse: func(resp *http.Response) error {
			if f.Edit != nil {
				f.Edit(resp)
			}
			return nil
		},
	}
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.seen = append(p.seen, r.Clone(r.Context()))
		p.mu.Unlock()
		if f.Answer != nil {
			if resp := f.Answer(r); resp != nil {
				send(w, resp)
				return
			}
		}
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	p.addr = srv.Listener.Addr().String()
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	if err := os.WriteFile(p.CAFile, block, 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

// URL is a store URL of the proxy; settings are further parameters, such as "sse=AES256".
func (p *Proxy) URL(prefix string, settings ...string) string {
	u := "s3://" + Bucket + "/" + prefix + "?endpoint=https://" + p.addr + "&region=us-east-1"
	for _, s := range settings {
		u += "&" + s
	}
	return u
}

func signAgain(r *http.Request) {
	for _, name := range []string{"Authorization", "X-Amz-Date", "X-Amz-Security-Token", "X-Amz-Request-Payer",
		"X-Amz-Server-Side-Encryption", "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id", "X-Forwarded-For"} {
		r.Header.Del(name)
	}
	r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
	r.Header = signer.SignV4(*r, AccessKey, SecretKey, "", "us-east-1").Header
}

func send(w http.ResponseWriter, resp *http.Response) {
	for name, values := range resp.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(resp.StatusCode)
	_, _ = io.Copy(w, resp.Body)
	_ = resp.Body.Close()
}
