package verify

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path/filepath"
	"time"
)

// Files is a place to read from that is neither a folder nor a web server: a bucket.
type Files interface {
	// Open gives a file, its size (-1 if unknown), and a mark that is another one after the
	// file was written again ("" if there is none). fs.ErrNotExist: there is no such file.
	Open(ctx context.Context, name string) (r io.ReadCloser, size int64, mark string, err error)
}

// Answer is what a source gave when it was asked for a metadata file.
type Answer struct {
	// SHA256 is of the bytes; Payload of what signatures cover, "" if that could not be
	// decoded. Both in hex.
	SHA256, Payload string
	// Err says why there are no bytes; fs.ErrNotExist where there is no such file.
	Err error
}

// Place is a source that is looked at again and again: connections are kept.
type Place struct{ o Options }

// Open makes ready to look at a source; nothing is read yet.
func Open(o Options) (*Place, error) {
	switch {
	case o.Files != nil:
		o.kept = bucket{o.Files}
	case isURL(o.Source):
		if len(o.Root) == 0 {
			return nil, fmt.Errorf("%w: %q is a URL, and what it serves cannot vouch for itself", ErrNoRoot, o.Source)
		}
		server, err := newWeb(o)
		if err != nil {
			return nil, err
		}
		o.kept = server
	}
	return &Place{o}, nil
}

// Run is [Run], with expiry judged at a moment.
func (p *Place) Run(ctx context.Context, at time.Time) (*Report, error) {
	o := p.o
	o.At = at
	return Run(ctx, o)
}

// Close gives connections back.
func (p *Place) Close() {
	if p.o.kept != nil {
		p.o.kept.close()
	}
}

// Content is a target as agents ask for it.
type Content struct {
	Path string // as metadata names it
	file string
	Named
}

// Contents lists the targets of a report, in no order, under the names that agents ask for.
func (r *Report) Contents() []Content {
	root, err := decode("root.json", roleRoot, r.Documents[roleRoot])
	if err != nil {
		return nil
	}
	w := &walk{trusted: root}
	var all []Content
	for name, n := range r.Named() {
		places := w.names(target{path: name, length: n.Length, sha512: n.SHA512, sha256: n.SHA256})
		if len(places) > 0 {
			all = append(all, Content{Path: name, file: places[0].file, Named: n})
		}
	}
	return all
}

// Mark asks for a target without its bytes, and gives what is another text after it was
// written again, as far as the source is honest.
func (p *Place) Mark(ctx context.Context, c Content) (string, error) {
	src, err := p.open()
	if err != nil {
		return "", err
	}
	defer p.release(src)
	m, ok := src.(marker)
	if !ok {
		return "", nil
	}
	mark, size, err := m.mark(ctx, c.file)
	if err == nil && size >= 0 && size != c.Length {
		return "", &TargetError{c.Path, fmt.Errorf("%w: %d bytes, not %d", errOtherBytes, size, c.Length)}
	}
	if err != nil {
		return "", &TargetError{c.Path, err}
	}
	return mark, nil
}

// Read reads a target to its end; an error says that agents would not take it. Errors:
// *TargetError.
func (p *Place) Read(ctx context.Context, c Content) error {
	src, err := p.open()
	if err != nil {
		return &TargetError{c.Path, err}
	}
	defer p.release(src)
	if c.SHA512 == "" && c.SHA256 == "" {
		return &TargetError{c.Path, errNoHash}
	}
	if err := copyNamed(ctx, src, c.file, c.Named, io.Discard); err != nil {
		return &TargetError{c.Path, err}
	}
	return nil
}

// OtherBytes reports whether an error of Mark or Read says that something else lies there
// than metadata names, or nothing; other errors are those of the way there.
func OtherBytes(err error) bool {
	var status *statusError
	return errors.Is(err, errOtherBytes) || errors.Is(err, errMissing) || errors.Is(err, errNoHash) ||
		errors.Is(err, errNotRegular) || errors.As(err, &status)
}

// marker is a source that can tell whether a file was written again.
type marker interface {
	mark(ctx context.Context, name string) (mark string, size int64, err error)
}

func (p *Place) open() (source, error) {
	if p.o.kept != nil {
		return p.o.kept, nil
	}
	dir, err := webRoot(p.o.Source)
	if err != nil {
		return nil, err
	}
	return openFolder(dir)
}

// release closes what open opened for one file.
func (p *Place) release(s source) {
	if p.o.kept == nil {
		s.close()
	}
}

func (f *folder) mark(_ context.Context, name string) (string, int64, error) {
	info, err := f.root.Stat(filepath.FromSlash(name))
	if err != nil {
		return "", 0, pathError(err)
	}
	if !info.Mode().IsRegular() {
		return "", 0, errNotRegular
	}
	return fmt.Sprint(info.Size(), info.ModTime().UnixNano(), inode(info)), info.Size(), nil
}

// mark asks with HEAD, and where that is not answered with a GET whose bytes are not read.
func (w *web) mark(ctx context.Context, name string) (string, int64, error) {
	res, err := w.do(ctx, http.MethodHead, name)
	if err != nil {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		if res, err = w.do(ctx, http.MethodGet, name); err != nil {
			return "", 0, err
		}
	}
	res.Body.Close()
	size := res.ContentLength
	if res.Request.Method == http.MethodHead {
		size = -1 // agents do not ask with HEAD, so what it says is not evidence
	}
	return fmt.Sprintf("%d %.100q %.100q", res.ContentLength, res.Header.Get("ETag"), res.Header.Get("Last-Modified")), size, nil
}

// bucket reads Files.
type bucket struct{ files Files }

func (b bucket) open(ctx context.Context, name string) (content, error) {
	r, size, _, err := b.files.Open(ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		return content{}, errMissing
	}
	if err != nil {
		return content{}, err
	}
	return content{ReadCloser: r, size: size}, nil
}

func (b bucket) fetch(ctx context.Context, name string) (blob, error) {
	c, err := b.open(ctx, name)
	if err != nil {
		return blob{}, err
	}
	defer c.Close()
	if c.size > maxMetadata {
		return blob{}, fmt.Errorf("%w: %d bytes", errTooLarge, c.size)
	}
	data, err := readLimited(c)
	return blob{data: data, announced: c.size}, err
}

func (b bucket) mark(ctx context.Context, name string) (string, int64, error) {
	r, size, mark, err := b.files.Open(ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		return "", 0, errMissing
	}
	if err != nil {
		return "", 0, err
	}
	return mark, size, r.Close()
}

func (b bucket) stat(ctx context.Context, name string) (int64, string, error) {
	_, size, err := b.mark(ctx, name)
	return size, "", err
}

func (b bucket) roots() ([]int64, bool) { return nil, false }
func (b bucket) leftovers() []string    { return nil }
func (b bucket) close()                 {}

// answers tells what the source gave in this run.
func (w *walk) answers() map[string]Answer {
	c, ok := w.src.(*cache)
	if !ok {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	all := map[string]Answer{}
	for name, f := range c.kept {
		a := Answer{Err: f.err, Payload: w.payloads[name]}
		if f.err == nil {
			sum := sha256.Sum256(f.blob.data)
			a.SHA256 = hex.EncodeToString(sum[:])
		}
		all[name] = a
	}
	return all
}
