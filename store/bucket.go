package store

import (
	"context"
	"crypto/md5"
	"crypto/sha512"
	"errors"
	"io"
	"io/fs"
	"iter"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// metaSHA512 is the user metadata that our uploads carry, because the ETag of a
// multipart upload says nothing of its content.
const metaSHA512 = "Sha512"

// partSize is up to which size a file goes out in one request, and the size of the
// parts of a larger one; bytes.
const partSize = 16 << 20

// bucket is a Store in an S3-compatible bucket.
type bucket struct {
	loc   Location
	core  minio.Core
	creds *credentials.Credentials
	who   *identity
	// opened is how; for another one beside it.
	opened OpenOptions
}

// newBucket opens a bucket. Credentials (see identity) are looked for at the first
// request.
func newBucket(loc Location, o OpenOptions) (*bucket, error) {
	endpoint, region, err := endpointOf(loc)
	if err != nil {
		return nil, err
	}
	who := &identity{aws: awsOptions{region: region}}
	creds := credentials.New(who)
	transport, err := newTransport(loc, o)
	if err != nil {
		return nil, err
	}
	transport = &gateway{next: transport, payer: loc.Payer, creds: creds, region: region}
	lookup := map[string]minio.BucketLookupType{"path": minio.BucketLookupPath, "virtual": minio.BucketLookupDNS}[loc.Style]
	client, err := minio.New(endpoint, &minio.Options{
		Creds: creds, Secure: !loc.Plain, Transport: transport, MaxRetries: o.Retries,
		Region: region, BucketLookup: lookup,
	})
	if err != nil {
		return nil, &URLError{URL: redact(loc.String()), Why: "the endpoint cannot be used"}
	}
	client.SetS3EnableDualstack(os.Getenv("AWS_USE_DUALSTACK_ENDPOINT") != "false")
	return &bucket{loc: loc, core: minio.Core{Client: client}, creds: creds, who: who, opened: o}, nil
}

// endpointOf gives host and region. The region is the URL's, else AWS_REGION or
// AWS_DEFAULT_REGION, else for Amazon the profile's, else us-east-1.
func endpointOf(loc Location) (endpoint, region string, err error) {
	region = firstOf(loc.Region, os.Getenv("AWS_REGION"), os.Getenv("AWS_DEFAULT_REGION"))
	if loc.Endpoint != "" {
		return loc.Endpoint, firstOf(region, "us-east-1"), nil
	}
	if region == "" {
		cfg, err := awsOptions{}.load(context.Background())
		if err != nil {
			return "", "", err
		}
		_, profile := configSources(cfg)
		region = profile.Region
	}
	if region == "" {
		return "", "", &URLError{URL: redact(loc.String()), Why: "region= is needed for a bucket of Amazon (or AWS_REGION)"}
	}
	name := "s3"
	if os.Getenv("AWS_USE_FIPS_ENDPOINT") == "true" {
		name = "s3-fips"
	}
	return name + "." + region + ".amazonaws.com", region, nil
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

func (b *bucket) String() string { return b.loc.String() }

func (b *bucket) key(name string) string {
	if b.loc.Prefix == "" {
		return name
	}
	return b.loc.Prefix + "/" + name
}

// enter checks a name before any request.
func (b *bucket) enter(op, name string) error {
	if err := checkName(name); err != nil {
		return b.fail(op, name, err)
	}
	return nil
}

// Open implements Store.
func (b *bucket) Open(ctx context.Context, name string) (io.ReadCloser, Info, error) {
	if err := b.enter("reading", name); err != nil {
		return nil, Info{}, err
	}
	r, oi, header, err := b.core.GetObject(ctx, b.loc.Bucket, b.key(name), minio.GetObjectOptions{})
	if err != nil {
		return nil, Info{}, b.fail("reading", name, err)
	}
	info := b.info(name, oi)
	if date, err := http.ParseTime(header.Get("Date")); err == nil {
		info.Date = date
	}
	return r, info, nil
}

// Stat implements Store.
func (b *bucket) Stat(ctx context.Context, name string) (Info, error) {
	if err := b.enter("looking at", name); err != nil {
		return Info{}, err
	}
	oi, err := b.core.StatObject(ctx, b.loc.Bucket, b.key(name), minio.StatObjectOptions{})
	if err != nil {
		return Info{}, b.fail("looking at", name, err)
	}
	return b.info(name, oi), nil
}

func (b *bucket) info(name string, oi minio.ObjectInfo) Info {
	info := Info{Name: name, Size: oi.Size, ETag: oi.ETag, Modified: oi.LastModified}
	if isHex(oi.ETag, 2*md5.Size) { // as of a plain upload
		info.MD5 = oi.ETag
	}
	if sum := oi.UserMetadata[metaSHA512]; isHex(sum, 2*sha512.Size) {
		info.SHA512 = sum
	}
	return info
}

// Put implements Store. Conditional writes go out as one request, whatever their
// size, because not every server holds a condition over the parts of an upload.
func (b *bucket) Put(ctx context.Context, name string, c Content, o PutOptions) (Info, error) {
	if err := b.enter("writing", name); err != nil {
		return Info{}, err
	}
	if err := b.needCredentials(ctx); err != nil {
		return Info{}, b.fail("writing", name, err)
	}
	opts := minio.PutObjectOptions{
		ContentType: o.Header.ContentType, CacheControl: o.Header.CacheControl, PartSize: partSize,
		// MD5 lets the store refuse what was damaged on the way, and object lock wants it.
		SendContentMd5: true, ServerSideEncryption: b.loc.encryption(),
	}
	if c.SHA512 != "" {
		opts.UserMetadata = map[string]string{metaSHA512: c.SHA512}
	}
	if o.Progress != nil {
		opts.Progress = progressSink(o.Progress)
	}
	switch {
	case o.Absent:
		opts.SetMatchETagExcept("*")
		opts.DisableMultipart = true
	case o.Match != "":
		opts.SetMatchETag(o.Match)
		opts.DisableMultipart = true
	}
	up, err := b.send(ctx, name, c, opts, o.Progress)
	for try := 1; try < conflictTries && isConflict(err) && pause(ctx, time.Duration(try)*100*time.Millisecond) == nil; try++ {
		up, err = b.send(ctx, name, c, opts, o.Progress)
	}
	if err != nil {
		err = b.fail("writing", name, err)
		if errors.Is(err, ErrPrecondition) {
			return Info{}, b.doubt(ctx, name, o, err)
		}
		return Info{}, err
	}
	return Info{Name: name, Size: c.Size, ETag: up.ETag, SHA512: c.SHA512}, nil
}

// doubt looks at a file whose condition was refused. Where the condition holds, no
// other writer was there, and it is not said that one was.
func (b *bucket) doubt(ctx context.Context, name string, o PutOptions, refused error) error {
	now, err := b.Stat(ctx, name)
	condition := ""
	switch {
	case o.Absent && errors.Is(err, fs.ErrNotExist):
		condition = "If-None-Match"
	case o.Match != "" && err == nil && now.ETag == o.Match:
		condition = "If-Match"
	default:
		return refused
	}
	return &OpError{Op: "writing", Name: name, Store: b.String(), Err: &ConditionError{condition}}
}

func (b *bucket) send(ctx context.Context, name string, c Content, opts minio.PutObjectOptions, progress func(int64)) (minio.UploadInfo, error) {
	r, err := c.Open()
	if err != nil {
		return minio.UploadInfo{}, err
	}
	defer func() { _ = r.Close() }()
	if at, ok := r.(readerAt); ok && c.Size > partSize && !opts.DisableMultipart {
		return b.sendParts(ctx, name, at, c.Size, opts, progress)
	}
	return b.core.Client.PutObject(ctx, b.loc.Bucket, b.key(name), keepOpen(r), c.Size, opts)
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// needCredentials keeps a write from going out unsigned: the chain falls back to
// anonymous requests, which is right for reading a public bucket only.
func (b *bucket) needCredentials(ctx context.Context) error {
	cc := *b.core.CredContext()
	cc.Context = ctx
	v, err := b.creds.GetWithContext(&cc)
	if err != nil {
		return err
	}
	if v.SignerType.IsAnonymous() || v.AccessKeyID == "" {
		return ErrNoCredentials
	}
	return nil
}

// anonymous: no credentials were found for the requests that went out.
func (b *bucket) anonymous() bool { return b.who.name() == "" }

// Identity implements Identified.
func (b *bucket) Identity(ctx context.Context) (string, error) {
	if err := b.needCredentials(ctx); err != nil {
		return "", err
	}
	return b.who.name(), nil
}

// keepOpen hides Close from the client, which closes after its first try, and keeps
// what it needs to try again and to send parts in parallel.
func keepOpen(r io.Reader) io.Reader {
	type seekable interface {
		io.Reader
		io.ReaderAt
		io.Seeker
	}
	if s, ok := r.(seekable); ok {
		return struct{ seekable }{s}
	}
	return struct{ io.Reader }{r}
}

// progressSink is the io.Reader by which the client reports what has gone out.
type progressSink func(n int64)

func (p progressSink) Read(b []byte) (int, error) {
	p(int64(len(b)))
	return len(b), nil
}

// List implements Store.
func (b *bucket) List(ctx context.Context, prefix string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		base := ""
		if b.loc.Prefix != "" {
			base = b.loc.Prefix + "/"
		}
		for oi := range b.core.ListObjectsIter(ctx, b.loc.Bucket, minio.ListObjectsOptions{Prefix: base + prefix, Recursive: true}) {
			if oi.Err != nil {
				yield(Info{}, b.fail("listing", prefix, oi.Err))
				return
			}
			name := strings.TrimPrefix(oi.Key, base)
			if checkName(name) != nil {
				continue // for example the marker of an empty folder, "targets/"
			}
			oi.ETag = strings.Trim(oi.ETag, `"`)
			if !yield(b.info(name, oi), nil) {
				return
			}
		}
	}
}

// Delete implements Store.
func (b *bucket) Delete(ctx context.Context, name string) error {
	if err := b.enter("deleting", name); err != nil {
		return err
	}
	if err := b.needCredentials(ctx); err != nil {
		return b.fail("deleting", name, err)
	}
	err := b.core.RemoveObject(ctx, b.loc.Bucket, b.key(name), minio.RemoveObjectOptions{})
	if err != nil {
		err = b.fail("deleting", name, err)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
	}
	return err
}
