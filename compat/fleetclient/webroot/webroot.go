// Package webroot serves a folder as an update server does: plain files below /,
// GET and HEAD, 404 for whatever is not a regular file, no listings, no redirects.
//
// Every request opens its file anew. A file that is replaced by a rename is served
// whole, old or new; one that is overwritten in place is served as it happens to be,
// which is what tests of publishing want to see.
package webroot

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
)

// Handler serves a folder.
type Handler struct {
	root *os.Root
	mu   sync.Mutex
	log  io.Writer
}

// New serves dir. If log is not nil, each request is written to it as one line,
// "METHOD PATH STATUS", in the order in which the answers start.
func New(dir string, log io.Writer) (*Handler, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("serving %q: %w", dir, err)
	}
	return &Handler{root: root, log: log}, nil
}

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.note(r, http.StatusMethodNotAllowed)
		http.Error(w, "GET and HEAD only", http.StatusMethodNotAllowed)
		return
	}
	f, info := h.open(strings.TrimPrefix(r.URL.Path, "/"))
	if f == nil {
		h.note(r, http.StatusNotFound)
		http.Error(w, "not found", http.StatusNotFound)
		return
	}
	defer f.Close()
	h.note(r, http.StatusOK)
	// Fixed, so that no content is read to guess it.
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "", info.ModTime(), f)
}

func (h *Handler) open(name string) (*os.File, os.FileInfo) {
	f, err := h.root.Open(name)
	if err != nil {
		return nil, nil
	}
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		f.Close()
		return nil, nil
	}
	return f, info
}

func (h *Handler) note(r *http.Request, status int) {
	if h.log == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	fmt.Fprintf(h.log, "%s %s %d\n", r.Method, r.URL.Path, status)
}
