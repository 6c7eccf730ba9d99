package store

import (
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/hex"
	"io"
	"iter"
	"strings"
	"time"
)

// Store is a place where a published repository lives. Implementations are safe for
// concurrent use. Errors wrap fs.ErrNotExist for an absent file, fs.ErrPermission for
// a refused one, and the values of this package; a store that is absent as a whole is
// ErrNoStore, never fs.ErrNotExist.
type Store interface {
	// String is the store's URL in canonical form; no secret is in it.
	String() string
	// Open reads a file. The caller closes it.
	Open(ctx context.Context, name string) (io.ReadCloser, Info, error)
	// Stat tells about a file without reading it.
	Stat(ctx context.Context, name string) (Info, error)
	// Put writes a file, all or nothing. A condition that does not hold is
	// ErrPrecondition and changes nothing. After any other error the file may be the
	// old one or the new one.
	Put(ctx context.Context, name string, c Content, o PutOptions) (Info, error)
	// List walks all files whose name starts with prefix, in no promised order.
	List(ctx context.Context, prefix string) iter.Seq2[Info, error]
	// Delete removes a file; an absent one is no error.
	Delete(ctx context.Context, name string) error
}

// Creator is a Store that can be made where there is none yet (a folder).
type Creator interface {
	Create(ctx context.Context) error
}

// Info describes a file in a store.
type Info struct {
	Name string
	Size int64
	// ETag is what PutOptions.Match compares with; opaque.
	ETag string
	// SHA512 and MD5 are lower-case hex, empty where the store does not tell. MD5 may
	// be something else of the same look on stores that encrypt: equal means equal,
	// different means nothing.
	SHA512, MD5 string
	// Modified is by the store's clock.
	Modified time.Time
	// Date is the store's clock at the answer; zero where it has none of its own.
	Date time.Time
}

// PutOptions go with one write.
type PutOptions struct {
	// Absent: only if there is no file of that name (If-None-Match: *).
	Absent bool
	// Match: only if the file's ETag is this one (If-Match). Not with Absent.
	Match  string
	Header Header
	// Progress hears how many more bytes have gone out; may be nil. A retry counts
	// its bytes again.
	Progress func(n int64)
}

// Header is what a web server tells clients along with a file. A folder keeps none.
type Header struct {
	ContentType  string
	CacheControl string
}

// Content is what is written.
type Content struct {
	Size int64
	// SHA512 is lower-case hex; kept with the file where the store can.
	SHA512 string
	// Open gives the bytes, as often as asked. Put closes what it opens. A reader
	// that is an *os.File or *bytes.Reader can be sent again after a lost connection.
	Open func() (io.ReadCloser, error)
}

// Bytes is Content that is in memory.
func Bytes(b []byte) Content {
	sum := sha512.Sum512(b)
	return Content{
		Size:   int64(len(b)),
		SHA512: hex.EncodeToString(sum[:]),
		Open:   func() (io.ReadCloser, error) { return nopCloser{bytes.NewReader(b)}, nil },
	}
}

// nopCloser keeps Seek and ReadAt of a bytes.Reader visible, unlike io.NopCloser.
type nopCloser struct{ *bytes.Reader }

func (nopCloser) Close() error { return nil }

// Object is a small file, read whole.
type Object struct {
	Info
	Data []byte
}

// Get reads a file of at most limit bytes; a longer one is ErrTooLarge.
func Get(ctx context.Context, s Store, name string, limit int64) (Object, error) {
	r, info, err := s.Open(ctx, name)
	if err != nil {
		return Object{}, err
	}
	defer func() { _ = r.Close() }()
	if info.Size > limit {
		return Object{}, &OpError{Op: "reading", Name: name, Store: s.String(), Err: ErrTooLarge}
	}
	// Room at once for what is announced: growing step by step would need a multiple.
	buf := bytes.NewBuffer(make([]byte, 0, max(0, info.Size)+bytes.MinRead))
	if _, err := buf.ReadFrom(io.LimitReader(r, limit+1)); err != nil {
		return Object{}, &OpError{Op: "reading", Name: name, Store: s.String(), Err: err}
	}
	data := buf.Bytes()
	if int64(len(data)) > limit {
		return Object{}, &OpError{Op: "reading", Name: name, Store: s.String(), Err: ErrTooLarge}
	}
	if info.Size >= 0 && int64(len(data)) != info.Size {
		return Object{}, &OpError{Op: "reading", Name: name, Store: s.String(), Err: io.ErrUnexpectedEOF}
	}
	info.Size = int64(len(data))
	return Object{Info: info, Data: data}, nil
}

// PutBytes writes a small file, and takes an error that leaves it open what happened
// for what it is: it reads back, and identical bytes mean success.
func PutBytes(ctx context.Context, s Store, name string, data []byte, o PutOptions) (Info, error) {
	info, err := s.Put(ctx, name, Bytes(data), o)
	if err == nil || ctx.Err() != nil {
		return info, err
	}
	got, gerr := Get(ctx, s, name, int64(len(data)))
	if gerr == nil && bytes.Equal(got.Data, data) {
		return got.Info, nil
	}
	return Info{}, err
}

// checkName refuses names that could leave the store, or that not every store takes.
func checkName(name string) error {
	if name == "" || len(name) > maxName || strings.ContainsRune(name, '\\') || hasControl(name) {
		return ErrBadName
	}
	for _, part := range strings.Split(name, "/") {
		if part == "" || part == "." || part == ".." {
			return ErrBadName
		}
	}
	return nil
}

// maxName is the longest key of S3, in bytes.
const maxName = 1024

func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r == 0x7f || r == '\uFFFD' })
}
