//go:build linux

package main

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

// TestWatchSaysItPlainly: what a server answers is told without acting on the terminal, as
// text and as JSON.
func TestWatchSaysItPlainly(t *testing.T) {
	t.Parallel()
	dir := copyRepo(t, "consistent")
	files := http.FileServer(http.Dir(filepath.Join(dir, "repository")))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/2.root.json" {
			files.ServeHTTP(w, r)
			return
		}
		conn, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			_, _ = conn.Write([]byte("HTTP/1.1 403 \x1b[2J\u202Eall is well\r\nContent-Length: 0\r\n\r\n"))
			_ = conn.Close()
		}
	}))
	defer server.Close()
	for _, more := range [][]string{nil, {"--json"}} {
		args := append([]string{"watch", "--once", server.URL, "--root", filepath.Join(dir, "repository", "1.root.json"), "--state", filepath.Join(t.TempDir(), "state")}, more...)
		r := hsm(t, nil, args...)
		if r.code != exitUnverified || !strings.Contains(r.stdout, "next-root") || !strings.Contains(r.stdout, "all is well") {
			t.Errorf("exit %d\n%q\n%q", r.code, r.stdout, r.stderr)
		}
		if text := r.stdout + r.stderr; strings.ContainsAny(text, "\x1b\u202e") {
			t.Errorf("the server's own: %q", text)
		}
	}
}
