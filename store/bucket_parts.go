package store

import (
	"context"
	"crypto/md5"
	"encoding/base64"
	"errors"
	"io"
	"time"

	"github.com/minio/minio-go/v7"
)

// Limits of S3 on an upload in parts.
const (
	maxParts = 10000
	// maxOne is the largest file that goes in one request; bytes.
	maxOne = 5 << 30
	// partsAtOnce is how many parts of one file are on their way.
	partsAtOnce = 4
)

// readerAt is what parts can be read from, again and at once.
type readerAt interface {
	io.Reader
	io.ReaderAt
}

// putParts sends a large file in parts, each with its MD5: buckets with object lock
// refuse a part without a checksum, and the client library sends one only if it may
// hold whole parts in memory. Here each part is read twice instead.
func (b *bucket) putParts(ctx context.Context, name string, r readerAt, size int64, opts minio.PutObjectOptions, progress func(int64)) (info minio.UploadInfo, err error) {
	key := b.key(name)
	id, err := b.core.NewMultipartUpload(ctx, b.loc.Bucket, key, opts)
	if err != nil {
		return minio.UploadInfo{}, err
	}
	defer func() {
		if err != nil {
			b.abort(ctx, key, id)
		}
	}()
	length := max(partSize, (size+maxParts-1)/maxParts)
	parts := make([]minio.CompletePart, max(1, (size+length-1)/length))
	err = parallel(ctx, partsAtOnce, len(parts), func(ctx context.Context, i int) error {
		from := int64(i) * length
		part := io.NewSectionReader(r, from, min(length, size-from))
		h := md5.New()
		if _, err := io.Copy(h, part); err != nil {
			return err
		}
		if _, err := part.Seek(0, io.SeekStart); err != nil {
			return err
		}
		done, err := b.core.PutObjectPart(ctx, b.loc.Bucket, key, id, i+1, &meteredPart{part, progress}, part.Size(),
			minio.PutObjectPartOptions{Md5Base64: base64.StdEncoding.EncodeToString(h.Sum(nil))})
		parts[i] = minio.CompletePart{PartNumber: i + 1, ETag: done.ETag}
		return err
	})
	if err != nil {
		return minio.UploadInfo{}, err
	}
	info, err = b.core.CompleteMultipartUpload(ctx, b.loc.Bucket, key, id, parts, opts)
	var resp minio.ErrorResponse
	if errors.As(err, &resp) && resp.Code == "InvalidPart" {
		// All parts were taken, and it knows one of them by another ETag.
		err = &ConditionError{"the ETag of a part"}
	}
	return info, err
}

// sendParts sends a file in parts, or in one where the store knows no parts.
func (b *bucket) sendParts(ctx context.Context, name string, r readerAt, size int64, opts minio.PutObjectOptions, progress func(int64)) (minio.UploadInfo, error) {
	info, err := b.putParts(ctx, name, r, size, opts, progress)
	if !isUnsupported(err) || size > maxOne {
		return info, err
	}
	opts.DisableMultipart = true
	return b.core.Client.PutObject(ctx, b.loc.Bucket, b.key(name), io.NewSectionReader(r, 0, size), size, opts)
}

func isUnsupported(err error) bool {
	var resp minio.ErrorResponse
	return errors.As(err, &resp) && errors.Is(causeOf(resp), ErrUnsupported)
}

// abort gives back the room of parts that were sent, also where the context has ended.
func (b *bucket) abort(ctx context.Context, key, id string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	_ = b.core.AbortMultipartUpload(ctx, b.loc.Bucket, key, id)
}

// meteredPart tells how much of a part has gone out.
type meteredPart struct {
	*io.SectionReader
	progress func(int64)
}

func (m *meteredPart) Read(p []byte) (int, error) {
	n, err := m.SectionReader.Read(p)
	if n > 0 && m.progress != nil {
		m.progress(int64(n))
	}
	return n, err
}
