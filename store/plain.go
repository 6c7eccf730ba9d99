package store

import (
	"context"
	"fmt"
	"time"
)

// Plain shows a Store through built-in types only, so that packages which must not
// import this one (online) can name the interface that they need.
type Plain struct{ Store Store }

// String is the store's URL.
func (p Plain) String() string { return p.Store.String() }

// Get reads a file of at most limit bytes, with its ETag and the store's clock (zero
// where it has none). An absent file is fs.ErrNotExist; an absent store is not.
func (p Plain) Get(ctx context.Context, name string, limit int64) (data []byte, etag string, date time.Time, err error) {
	o, err := Get(ctx, p.Store, name, limit)
	if err == nil && o.ETag == "" && name == "timestamp.json" {
		err = noETag("reading", name, p.String())
	}
	return o.Data, o.ETag, o.Date, err
}

// PutTimestamp writes timestamp.json, if its ETag is still etag or, with etag "", if
// there is none. consistent chooses the Cache-Control header.
func (p Plain) PutTimestamp(ctx context.Context, data []byte, etag string, consistent bool) error {
	o := PutOptions{Match: etag, Absent: etag == "", Header: DefaultCaching(consistent).header("timestamp.json", consistent)}
	_, err := p.Store.Put(ctx, "timestamp.json", Bytes(data), o)
	return err
}

// Modified is when a file was written, by the store's clock.
func (p Plain) Modified(ctx context.Context, name string) (time.Time, error) {
	info, err := p.Store.Stat(ctx, name)
	return info.Modified, err
}

// noETag: without an ETag a file cannot be replaced under a condition, and it would look
// to PutTimestamp as if there were none.
func noETag(op, name, store string) error {
	return &OpError{Op: op, Name: name, Store: store, Err: fmt.Errorf("it came without an ETag: %w", ErrUnsupported)}
}
