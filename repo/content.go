package repo

import (
	"context"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"

	"github.com/fleet-hsm/fleet-hsm/internal/osfile"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// Content is a file's bytes, on their way into the repository.
type Content struct {
	SHA512 string // hex
	Length int64
	// staged: the bytes stand in pending/content/<SHA512>. Otherwise they are
	// published already.
	staged bool
	// from: a dry run left them where they are.
	from string
}

// copyChunk is how much is read at a time; two chunks are in flight.
const copyChunk = 1 << 20

// Stage copies a file into pending/content and hashes it on the way, reading it once.
// It refuses what is not a regular file, is empty, or changes while it is read. progress
// (may be nil) is told how many bytes are done. The lock must be held.
// Errors: *ContentError.
func (r *Repo) Stage(ctx context.Context, file string, progress func(done, total int64)) (Content, error) {
	src, st, err := openTarget(file)
	if err != nil {
		return Content{}, err
	}
	defer func() { _ = src.Close() }()
	if r.dryRun {
		return measure(ctx, src, st, file, progress)
	}
	if err := os.MkdirAll(r.pending("content"), 0o700); err != nil {
		return Content{}, err
	}
	tmp, err := os.CreateTemp(r.pending("content"), "tmp-")
	if err != nil {
		return Content{}, err
	}
	defer func() { _ = os.Remove(tmp.Name()) }()
	sum, n, err := copyHashed(ctx, tmp, src, st.Size(), progress)
	if err != nil {
		_ = tmp.Close()
		return Content{}, copyFailed(file, r.pending("content"), err)
	}
	if err := unchanged(src, st, n, file); err != nil {
		_ = tmp.Close()
		return Content{}, err
	}
	if err := finishContent(tmp); err != nil {
		return Content{}, copyFailed(file, r.pending("content"), err)
	}
	c := Content{SHA512: hex.EncodeToString(sum), Length: n, staged: true}
	if err := os.Rename(tmp.Name(), r.pending("content", c.SHA512)); err != nil {
		return c, err
	}
	r.hashedNow(r.pending("content", c.SHA512), c.SHA512)
	return c, nil
}

// measure is Stage without the copy.
func measure(ctx context.Context, src *os.File, st os.FileInfo, file string, progress func(done, total int64)) (Content, error) {
	sum, n, err := copyHashed(ctx, io.Discard, src, st.Size(), progress)
	if err != nil {
		return Content{}, copyFailed(file, file, err)
	}
	return Content{SHA512: hex.EncodeToString(sum), Length: n, staged: true, from: file}, unchanged(src, st, n, file)
}

// OpenContent opens the bytes of a content, where they are staged or published.
// Errors: *RefusedError{MissingContent}.
func (r *Repo) OpenContent(p *Published, c Content) (*os.File, error) {
	if c.from != "" {
		return os.Open(c.from)
	}
	if c.staged {
		return os.Open(r.pending("content", c.SHA512))
	}
	name, err := r.publishedFile(p, meta.Target{Length: c.Length, SHA512: c.SHA512})
	if err != nil {
		return nil, err
	}
	return os.Open(name)
}

func openTarget(file string) (*os.File, os.FileInfo, error) {
	// O_NONBLOCK: opening a FIFO must not wait for somebody to write into it.
	f, err := os.OpenFile(file, os.O_RDONLY|osfile.NonBlock, 0)
	if err != nil {
		return nil, nil, &ContentError{Path: file, Reason: "cannot be read", Err: unwrapPath(err)}
	}
	st, err := f.Stat()
	if err == nil && st.IsDir() {
		err = &ContentError{Path: file, Reason: "is a directory"}
	} else if err == nil && !st.Mode().IsRegular() {
		err = &ContentError{Path: file, Reason: "is not a regular file"}
	} else if err == nil && st.Size() == 0 {
		err = &ContentError{Path: file, Reason: "is empty"}
	}
	if err != nil {
		_ = f.Close()
		return nil, nil, err
	}
	return f, st, nil
}

// unwrapPath drops the path that the text names already.
func unwrapPath(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// writeError marks an error of the side that is written.
type writeError struct{ err error }

func (e *writeError) Error() string { return e.err.Error() }
func (e *writeError) Unwrap() error { return e.err }

func copyFailed(file, dir string, err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	var we *writeError
	if errors.As(err, &we) {
		return fmt.Errorf("copying %q into %q: %w", file, dir, unwrapPath(we.err))
	}
	return &ContentError{Path: file, Reason: "cannot be read", Err: unwrapPath(err)}
}

func unchanged(f *os.File, before os.FileInfo, read int64, file string) error {
	after, err := f.Stat()
	if err != nil {
		return &ContentError{Path: file, Reason: "cannot be read", Err: err}
	}
	if read != before.Size() || after.Size() != before.Size() || !after.ModTime().Equal(before.ModTime()) {
		return &ContentError{Path: file, Reason: "changed while it was read"}
	}
	return nil
}

func finishContent(f *os.File) error {
	err := f.Chmod(0o644)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return &writeError{err}
	}
	return nil
}

// copyHashed reads src once; hashing and writing go on side by side.
func copyHashed(ctx context.Context, dst io.Writer, src io.Reader, total int64, progress func(done, total int64)) (sum []byte, n int64, err error) {
	h := sha512.New()
	free := make(chan []byte, 3)
	for range cap(free) {
		free <- make([]byte, copyChunk)
	}
	work := make(chan []byte, cap(free))
	failed := make(chan error, 1)
	go writeChunks(dst, work, free, failed)
	for {
		buf := <-free
		m, rerr := io.ReadFull(src, buf[:copyChunk])
		hashed(h, buf[:m])
		n += int64(m)
		work <- buf[:m]
		if progress != nil {
			progress(n, total)
		}
		if rerr == io.EOF || rerr == io.ErrUnexpectedEOF {
			break
		}
		if rerr != nil {
			err = rerr
			break
		}
		// A file that grows while it is read would never end.
		if n > total {
			break
		}
		if err = ctx.Err(); err != nil {
			break
		}
	}
	close(work)
	if werr := <-failed; werr != nil {
		err = &writeError{werr}
	}
	return h.Sum(nil), n, err
}

func hashed(h hash.Hash, b []byte) { _, _ = h.Write(b) }

// flushEvery is after how many bytes the kernel is asked to begin writing, so that
// the fsync at the end finds little left to do.
const flushEvery = 8 << 20

func writeChunks(dst io.Writer, work <-chan []byte, free chan<- []byte, failed chan<- error) {
	var first error
	var at, flushed int64
	for b := range work {
		if first == nil {
			_, first = dst.Write(b)
		}
		at += int64(len(b))
		if f, ok := dst.(*os.File); ok && at-flushed >= flushEvery {
			osfile.StartWriteback(f, flushed, at-flushed)
			flushed = at
		}
		free <- b[:cap(b)]
	}
	failed <- first
}

// copyContent makes a file of its own with the bytes of from: a reflink where the file
// system can, else a copy. It is synced.
func copyContent(from, to string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = src.Close() }()
	dst, filled, err := osfile.CreateFrom(src, to)
	if err != nil {
		return err
	}
	if !filled {
		_, err = io.Copy(dst, src)
	}
	if err != nil {
		_ = dst.Close()
		return err
	}
	return finishContent(dst)
}

// linkContent makes to another name of from's inode, or a copy where the file system
// has no hard links.
func linkContent(from, to string) error {
	if err := os.Link(from, to); err == nil {
		return nil
	}
	return copyContent(from, to)
}
