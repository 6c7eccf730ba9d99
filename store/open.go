package store

import (
	"net/http"
	"time"
)

// OpenOptions say how to reach a store.
type OpenOptions struct {
	// CAFile holds PEM certificates to trust for TLS besides the system's.
	CAFile string
	// Retries is how often an S3 request is tried; 0 means 10.
	Retries int
	// StallTimeout ends a connection on which nothing moves; 0 means a minute.
	StallTimeout time.Duration
	// Observe, if not nil, is called after each HTTP request of an S3 store: for
	// metrics and tests.
	Observe func(method string, took time.Duration, status int)
	// Wrap, if not nil, wraps the HTTP transport of an S3 store; for tests.
	Wrap func(http.RoundTripper) http.RoundTripper
}

// Open opens the store at loc. It reads nothing yet, so a store that is not there
// shows at the first use.
func Open(loc Location, o OpenOptions) (Store, error) {
	if loc.Scheme == "file" {
		return newFolder(loc), nil
	}
	return newBucket(loc, o)
}
