package webroot_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/compat/fleetclient/webroot"
)

func TestHandler(t *testing.T) {
	outside := t.TempDir()
	dir := filepath.Join(outside, "web")
	for name, content := range map[string]string{"web/a/b.json": "{}", "web/index.html": "x", "secret": "s"} {
		path := filepath.Join(outside, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../secret", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	handler, err := webroot.New(dir, &log)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		method, path string
		status       int
		body         string
	}{
		{http.MethodGet, "/a/b.json", http.StatusOK, "{}"},
		{http.MethodGet, "/index.html", http.StatusOK, "x"},
		{http.MethodGet, "/", http.StatusNotFound, ""},
		{http.MethodGet, "/a", http.StatusNotFound, ""},
		{http.MethodGet, "/a/c.json", http.StatusNotFound, ""},
		{http.MethodGet, "/../secret", http.StatusNotFound, ""},
		{http.MethodGet, "/link", http.StatusNotFound, ""},
		{http.MethodPut, "/a/b.json", http.StatusMethodNotAllowed, ""},
	} {
		log.Reset()
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(c.method, c.path, nil))
		body, err := io.ReadAll(w.Body)
		if err != nil {
			t.Fatal(err)
		}
		if w.Code != c.status || c.body != "" && string(body) != c.body {
			t.Errorf("%s %s: %d %q, want %d %q", c.method, c.path, w.Code, body, c.status, c.body)
		}
		if want := c.method + " " + c.path + " "; !bytes.HasPrefix(log.Bytes(), []byte(want)) {
			t.Errorf("%s %s: logged %q", c.method, c.path, &log)
		}
	}
}
