package verify

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"sync"
	"time"
)

const (
	// maxMetadata bounds what is read of any metadata file, far above what clients
	// take, so that a huge file is a finding and not an exhausted memory.
	maxMetadata = 32 << 20
	// maxRoot, maxTimestamp and maxRotations are go-tuf v0.5.2's (client.go).
	maxRoot      = 512000
	maxTimestamp = 16384
	maxRotations = 1000
	maxDelegated = 32
)

var (
	errMissing    error = missing{}
	errNotRegular       = errors.New("not a regular file")
	errTooLarge         = errors.New("too large")
	// ErrUnreachable: the source could not be read at all.
	ErrUnreachable = errors.New("cannot be read")
)

// missing is fs.ErrNotExist in fewer words.
type missing struct{}

func (missing) Error() string { return "not found" }

func (missing) Is(target error) bool { return target == fs.ErrNotExist }

// statusError is an HTTP answer other than 200 and 404.
type statusError struct {
	status int
	line   string
}

func (e *statusError) Error() string { return "HTTP status " + e.line }

// blob is one metadata file.
type blob struct {
	data      []byte
	modified  time.Time // zero if unknown
	announced int64     // Content-Length; -1 if unknown
}

// content is a target being read. size is -1 if unknown.
type content struct {
	io.ReadCloser
	size     int64
	unpacked bool // gzip on the way, which the client took off
}

// source is where a repository is read from. Names are relative to the web root,
// with slashes. Errors wrap errMissing, errNotRegular, errTooLarge or are a
// *statusError.
type source interface {
	// fetch reads a metadata file whole.
	fetch(ctx context.Context, name string) (blob, error)
	// open reads a target as a stream.
	open(ctx context.Context, name string) (content, error)
	// stat gives the size of a target (-1 if unknown) and an identity that is equal
	// for two names of one file; empty if there is none.
	stat(ctx context.Context, name string) (size int64, id string, err error)
	// roots lists the versions of N.root.json, ascending; ok is false if the source
	// cannot be listed.
	roots() (versions []int64, ok bool)
	// leftovers names what does not belong in a web root.
	leftovers() []string
	close()
}

// cache keeps what was fetched, so that all judges see the same bytes.
type cache struct {
	source
	mu   sync.Mutex
	kept map[string]fetched
}

type fetched struct {
	blob blob
	err  error
}

func newCache(s source) *cache {
	return &cache{source: s, kept: map[string]fetched{}}
}

func (c *cache) fetch(ctx context.Context, name string) (blob, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f, ok := c.kept[name]; ok {
		return f.blob, f.err
	}
	b, err := c.source.fetch(ctx, name)
	if ctx.Err() == nil {
		c.kept[name] = fetched{b, err}
	}
	return b, err
}

// readLimited reads at most maxMetadata bytes.
func readLimited(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxMetadata+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxMetadata {
		return nil, errTooLarge
	}
	return data, nil
}
