package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"time"

	"github.com/fleet-hsm/fleet-hsm/internal/osfile"
	"github.com/fleet-hsm/fleet-hsm/internal/webroot"
)

// tempPrefix begins names that atomicfile.IsTemp knows.
const tempPrefix = ".fleet-hsm-tmp-"

// Put implements Store: a temporary file beside the final one, fsync, then a link or
// a rename, then fsync of the folder.
func (f *folder) Put(ctx context.Context, name string, c Content, o PutOptions) (Info, error) {
	if err := f.enter(ctx, name); err != nil {
		return Info{}, f.fail("writing", name, err)
	}
	if st, err := os.Stat(f.root); err != nil || !st.IsDir() {
		return Info{}, f.fail("writing", name, ErrNoStore)
	}
	root, err := webroot.OpenRoot(f.root)
	if err != nil {
		return Info{}, f.fail("writing", name, err)
	}
	defer func() { _ = root.Close() }()
	tmp, err := writeTemp(ctx, root, name, c, o.Progress)
	if err != nil {
		return Info{}, f.fail("writing", name, err)
	}
	defer func() { _ = root.Remove(tmp) }()
	if err := f.place(ctx, root, tmp, name, o); err != nil {
		return Info{}, f.fail("writing", name, err)
	}
	info := Info{Name: name, Size: c.Size, SHA512: c.SHA512}
	if c.Size <= smallFile {
		info.ETag = c.SHA512
	}
	return info, nil
}

func writeTemp(ctx context.Context, root *webroot.Root, name string, c Content, progress func(int64)) (string, error) {
	var file *os.File
	var tmp string
	// A deletion by another process may remove an empty folder between the two calls.
	err := fs.ErrNotExist
	for try := 0; try < 5 && errors.Is(err, fs.ErrNotExist); try++ {
		if err := root.MakeDirs(path.Dir(name)); err != nil {
			return "", err
		}
		file, tmp, err = root.CreateTemp(name, tempPrefix)
	}
	if err != nil {
		return "", err
	}
	err = fillTemp(ctx, file, c, progress)
	if cerr := file.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		_ = root.Remove(tmp)
		return "", err
	}
	return tmp, nil
}

func fillTemp(ctx context.Context, file *os.File, c Content, progress func(int64)) error {
	r, err := c.Open()
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	n, err := io.Copy(file, &countingReader{ctx: ctx, r: r, progress: progress})
	if err != nil {
		return err
	}
	if n != c.Size {
		return fmt.Errorf("%d bytes instead of %d: %w", n, c.Size, io.ErrUnexpectedEOF)
	}
	if err := file.Chmod(0o644); err != nil {
		return err
	}
	return file.Sync()
}

// place gives a finished file its name, if the condition holds. All writers take
// turns, so that what a condition looked at is still there when the name changes.
func (f *folder) place(ctx context.Context, root *webroot.Root, tmp, name string, o PutOptions) error {
	if o.Absent {
		// A link fails if the name is taken; no lock is needed for that.
		if err := root.Link(tmp, name); err == nil {
			return syncUp(root, path.Dir(name))
		} else if errors.Is(err, fs.ErrExist) {
			return ErrPrecondition
		}
	}
	unlock, err := lockRoot(ctx, root)
	if err != nil {
		return err
	}
	defer unlock()
	if o.Absent {
		if _, err := root.Lstat(name); err == nil {
			return ErrPrecondition
		}
	}
	if o.Match != "" {
		if err := f.match(ctx, name, o.Match); err != nil {
			return err
		}
	}
	if err := root.Rename(tmp, name); err != nil {
		return err
	}
	return syncUp(root, path.Dir(name))
}

func (f *folder) match(ctx context.Context, name, etag string) error {
	info, err := f.Stat(ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		return ErrPrecondition
	}
	if err != nil {
		return err
	}
	if info.ETag != etag {
		return ErrPrecondition
	}
	return nil
}

// syncUp makes the names durable from dir up to the root: folders may be new.
func syncUp(root *webroot.Root, dir string) error {
	for ; ; dir = path.Dir(dir) {
		if err := root.SyncDir(dir); err != nil || dir == "." {
			return err
		}
	}
}

// lockPoll is how long a waiting writer pauses between two tries.
const lockPoll = 5 * time.Millisecond

// lockRoot waits for the store's lock. The kernel gives it back when a process dies.
func lockRoot(ctx context.Context, root *webroot.Root) (unlock func(), err error) {
	if err := root.Check(lockName); err != nil {
		return nil, fmt.Errorf("locking: %w", err)
	}
	file, err := root.OpenFile(lockName, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("locking: %w", err)
	}
	for {
		ok, err := osfile.TryLock(file)
		if err != nil {
			_ = file.Close()
			return nil, fmt.Errorf("locking: %w", err)
		}
		if ok {
			return func() { _ = file.Close() }, nil
		}
		select {
		case <-ctx.Done():
			_ = file.Close()
			return nil, ctx.Err()
		case <-time.After(lockPoll):
		}
	}
}

// countingReader tells how much has been read, and stops when the context ends.
type countingReader struct {
	ctx      context.Context
	r        io.Reader
	progress func(int64)
}

func (c *countingReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.r.Read(p)
	if n > 0 && c.progress != nil {
		c.progress(int64(n))
	}
	return n, err
}
