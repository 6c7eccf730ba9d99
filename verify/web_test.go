package verify_test

import (
	"compress/gzip"
	"context"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/verify"
)

// serve puts a repository behind HTTP; over may answer a request itself.
func serve(t *testing.T, m *maker, over func(w http.ResponseWriter, r *http.Request) bool) string {
	files := http.FileServer(http.Dir(m.dir))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// FileServer answers 200 for nothing else, and 404 as agents need it.
		if over == nil || !over(w, r) {
			files.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func at(url string, m *maker) func(*verify.Options) {
	return func(o *verify.Options) { o.Source, o.Root = url, m.get("1.root.json") }
}

func TestGoodWeb(t *testing.T) {
	for _, consistent := range []bool{false, true} {
		m := newMaker(t, consistent)
		m.rotate(p256Key, "root", "targets")
		m.write()
		for _, all := range []bool{false, true} {
			var asked []string
			url := serve(t, m, func(_ http.ResponseWriter, r *http.Request) bool {
				if r.URL.RawQuery != "" || r.Header.Get("Range") != "" {
					t.Errorf("agents send no such request: %s %s", r.Method, r.URL)
				}
				return false
			})
			r := m.run(t, at(url+"/", m), func(o *verify.Options) { o.AllTargets = all })
			if len(r.Findings) > 0 || !slices.Equal(r.Roots, []int64{1, 2}) {
				t.Errorf("consistent %v, all targets %v: roots %v, asked %v\n%s", consistent, all, r.Roots, asked, list(r))
			}
			if (r.Bytes > 0) != all {
				t.Errorf("all targets %v, and %d bytes were hashed", all, r.Bytes)
			}
		}
	}
}

// TestManners: servers that agents get along with.
func TestManners(t *testing.T) {
	m := newMaker(t, true)
	m.write()
	manners := map[string]func(w http.ResponseWriter, r *http.Request) bool{
		"no HEAD": func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodHead {
				w.WriteHeader(http.StatusMethodNotAllowed)
			}
			return r.Method == http.MethodHead
		},
		"HEAD without the right length": func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodHead {
				w.Header().Set("Content-Length", "1")
			}
			return r.Method == http.MethodHead
		},
		"no Content-Length": func(w http.ResponseWriter, r *http.Request) bool {
			data, err := os.ReadFile(m.path(r.URL.Path))
			if err != nil {
				return false
			}
			w.WriteHeader(http.StatusOK)
			w.(http.Flusher).Flush()
			w.Write(data)
			return true
		},
		"a redirect": func(w http.ResponseWriter, r *http.Request) bool {
			if strings.HasPrefix(r.URL.Path, "/moved/") {
				http.StripPrefix("/moved", http.FileServer(http.Dir(m.dir))).ServeHTTP(w, r)
				return true
			}
			http.Redirect(w, r, "/moved"+r.URL.Path, http.StatusFound)
			return true
		},
	}
	for name, over := range manners {
		t.Run(name, func(t *testing.T) {
			for _, all := range []bool{false, true} {
				r := m.run(t, at(serve(t, m, over), m), func(o *verify.Options) { o.AllTargets = all })
				if len(r.Findings) > 0 {
					t.Errorf("all targets %v:\n%s", all, list(r))
				}
			}
		})
	}
}

func answer(name string, f func(w http.ResponseWriter)) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/"+name {
			return false
		}
		f(w)
		return true
	}
}

func status(name string, code int) func(http.ResponseWriter, *http.Request) bool {
	return answer(name, func(w http.ResponseWriter) { w.WriteHeader(code) })
}

func TestWebFaults(t *testing.T) {
	const orbit = "targets/orbit/linux/stable/orbit"
	m := newMaker(t, false)
	m.rotate(ed25519Key, "root")
	m.write()
	length := func(n string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", n)
			w.Write([]byte(strings.Repeat("x", 20)))
		}
	}
	faults := []struct {
		name string
		over func(http.ResponseWriter, *http.Request) bool
		code verify.Code
		file string
	}{
		{"403 for the next root", status("3.root.json", 403), verify.CodeNextRoot, "3.root.json"},
		{"410 for the next root", status("3.root.json", 410), verify.CodeNextRoot, "3.root.json"},
		{"500 for the next root", status("3.root.json", 500), verify.CodeNextRoot, "3.root.json"},
		{"a page for the next root", answer("3.root.json", func(w http.ResponseWriter) { io.WriteString(w, "<html>Not found</html>") }), verify.CodeNextRoot, "3.root.json"},
		{"a page for everything unknown", func(w http.ResponseWriter, r *http.Request) bool {
			if _, err := os.Stat(m.path(r.URL.Path)); err == nil {
				return false
			}
			io.WriteString(w, "<!doctype html>")
			return true
		}, verify.CodeNextRoot, "3.root.json"},
		{"404 for a root in between", status("1.root.json", 404), verify.CodeRootFirst, "1.root.json"},
		{"404 for the newest root", status("2.root.json", 404), verify.CodeRootGap, "2.root.json"},
		{"503 for timestamp", status("timestamp.json", 503), verify.CodeHTTPStatus, "timestamp.json"},
		{"403 for a target", status(orbit, 403), verify.CodeHTTPStatus, orbit},
		{"404 for a target", status(orbit, 404), verify.CodeTargetMissing, orbit},
		{"another Content-Length", answer(orbit, length("20")), verify.CodeContentLength, orbit},
		{"a transfer that ends early", answer(orbit, func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "15")
			io.WriteString(w, "orbit")
		}), verify.CodeUnreadable, orbit},
		{"other bytes", answer(orbit, func(w http.ResponseWriter) { io.WriteString(w, "ORBIT for linux") }), verify.CodeTargetHash, orbit},
		{"more bytes, length unknown", answer(orbit, func(w http.ResponseWriter) {
			w.(http.Flusher).Flush()
			io.WriteString(w, strings.Repeat("orbit", 100))
		}), verify.CodeTargetLength, orbit},
		{"a timestamp without end", answer("timestamp.json", func(w http.ResponseWriter) {
			zeros := make([]byte, 1<<20)
			for {
				if _, err := w.Write(zeros); err != nil {
					return
				}
			}
		}), verify.CodeTooLarge, "timestamp.json"},
	}
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			r := m.run(t, at(serve(t, m, f.over), m))
			found := slices.ContainsFunc(find(r, f.code), func(x verify.Finding) bool { return x.File == f.file })
			if !found {
				t.Errorf("want %s of %q, got\n%s", f.code, f.file, list(r))
			}
		})
	}
}

func TestTLS(t *testing.T) {
	m := newMaker(t, true)
	m.write()
	server := httptest.NewTLSServer(http.FileServer(http.Dir(m.dir)))
	defer server.Close()
	o := verify.Options{Source: server.URL, Root: m.get("1.root.json"), AllTargets: true}
	if _, err := verify.Run(context.Background(), o); !errors.Is(err, verify.ErrUnreachable) {
		t.Errorf("a certificate of nobody: error %v, want ErrUnreachable", err)
	}
	o.CAFile = filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(o.CAFile, text, 0o644); err != nil {
		t.Fatal(err)
	}
	r, err := verify.Run(context.Background(), o)
	if err != nil || len(r.Findings) > 0 {
		t.Fatalf("with the CA: %v, %v", err, r)
	}
	if err := os.WriteFile(o.CAFile, []byte("nothing"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := verify.Run(context.Background(), o); err == nil {
		t.Error("a CA file without certificates was taken")
	}
}

func TestNothingToLookAt(t *testing.T) {
	m := newMaker(t, false)
	m.write()
	ctx := context.Background()
	url := serve(t, m, nil)
	if _, err := verify.Run(ctx, verify.Options{Source: url}); !errors.Is(err, verify.ErrNoRoot) {
		t.Errorf("a URL without a root: %v", err)
	}
	closed := httptest.NewServer(nil)
	closed.Close()
	o := verify.Options{Source: closed.URL, Root: m.get("1.root.json")}
	if _, err := verify.Run(ctx, o); !errors.Is(err, verify.ErrUnreachable) {
		t.Errorf("a server that is not there: %v", err)
	}
	for _, source := range []string{filepath.Join(t.TempDir(), "none"), m.path("root.json"), t.TempDir()} {
		if _, err := verify.Run(ctx, verify.Options{Source: source}); !errors.Is(err, verify.ErrUnreachable) {
			t.Errorf("source %q: %v", source, err)
		}
	}
	for _, source := range []string{"http://", "https://host/?token=x", "http://host/#f"} {
		if _, err := verify.Run(ctx, verify.Options{Source: source, Root: m.get("1.root.json")}); err == nil {
			t.Errorf("source %q was taken", source)
		}
	}
	r, err := verify.Run(ctx, verify.Options{Source: m.dir, Root: []byte("{")})
	if err != nil || len(find(r, verify.CodePinnedRoot)) != 1 {
		t.Errorf("a root that is none: %v, %v", r, err)
	}
}

func TestCanceled(t *testing.T) {
	m := newMaker(t, false)
	m.write()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	hang := make(chan struct{})
	defer close(hang)
	url := serve(t, m, answer("targets/orbit/linux/stable/orbit", func(w http.ResponseWriter) {
		w.(http.Flusher).Flush()
		cancel()
		<-hang
	}))
	_, err := verify.Run(ctx, verify.Options{Source: url, Root: m.get("1.root.json"), AllTargets: true})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
}

// TestWrongGzipLabel: a server that labels what is stored as an archive has clients
// unpack it; the finding says so, and not only that a length is another.
func TestWrongGzipLabel(t *testing.T) {
	m := newMaker(t, false)
	m.write()
	for _, packed := range []bool{false, true} {
		url := serve(t, m, func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.HasPrefix(r.URL.Path, "/targets/") {
				return false
			}
			w.Header().Set("Content-Encoding", "gzip")
			if packed {
				z := gzip.NewWriter(w)
				_, _ = z.Write([]byte("what was in the archive"))
				_ = z.Close()
				return true
			}
			return false
		})
		r := m.run(t, at(url, m), func(o *verify.Options) { o.AllTargets = true })
		if !strings.Contains(list(r), `Content-Encoding: gzip`) {
			t.Errorf("packed %v: %s", packed, list(r))
		}
	}
}
