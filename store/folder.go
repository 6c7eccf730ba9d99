package store

import (
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/fleet-hsm/fleet-hsm/internal/atomicfile"
	"github.com/fleet-hsm/fleet-hsm/internal/osfile"
	"github.com/fleet-hsm/fleet-hsm/internal/webroot"
)

// lockName is the file under which conditional writes take turns. It stays.
const lockName = ".fleet-hsm-lock"

// smallFile is up to which size a file of a folder is read to tell its hash.
const smallFile = 1 << 20

// folder is a Store in a directory that a web server serves.
type folder struct {
	loc  Location
	root string
}

func newFolder(loc Location) *folder { return &folder{loc: loc, root: filepath.FromSlash(loc.Path)} }

func (f *folder) String() string { return f.loc.String() }

// Create makes the folder; its parent must be there, so that a path with a typo or an
// absent mount is not taken for a new store.
func (f *folder) Create(context.Context) error {
	err := os.Mkdir(f.root, 0o755)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		return &OpError{Op: "creating", Name: filepath.Base(f.root), Store: f.String(), Err: fmt.Errorf("%w: nor does %q", ErrNoStore, filepath.Dir(f.root))}
	}
	if err != nil {
		return &OpError{Op: "creating", Name: f.root, Store: f.String(), Err: err}
	}
	return atomicfile.SyncDir(filepath.Dir(f.root))
}

// fail wraps an error; where the folder itself is missing it is ErrNoStore.
func (f *folder) fail(op, name string, err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		if st, serr := os.Stat(f.root); serr != nil || !st.IsDir() {
			err = ErrNoStore
		} else if !errors.Is(err, fs.ErrNotExist) {
			err = fs.ErrNotExist // a file where the name has a folder
		}
	}
	return &OpError{Op: op, Name: name, Store: f.String(), Err: err}
}

// Open implements Store.
func (f *folder) Open(ctx context.Context, name string) (io.ReadCloser, Info, error) {
	if err := f.enter(ctx, name); err != nil {
		return nil, Info{}, f.fail("reading", name, err)
	}
	file, err := webroot.Open(f.root, name)
	if err != nil {
		return nil, Info{}, f.fail("reading", name, err)
	}
	info, data, err := describe(name, file)
	if err != nil {
		_ = file.Close()
		return nil, Info{}, f.fail("reading", name, err)
	}
	if data != nil {
		_ = file.Close()
		return nopCloser{bytes.NewReader(data)}, info, nil
	}
	return file, info, nil
}

// Stat implements Store.
func (f *folder) Stat(ctx context.Context, name string) (Info, error) {
	r, info, err := f.Open(ctx, name)
	if err != nil {
		return Info{}, err
	}
	return info, r.Close()
}

func (f *folder) enter(ctx context.Context, name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	return ctx.Err()
}

// describe tells about an open file. A small one is read, and its ETag is its hash; a
// larger one is told apart by inode, size and time, since every write makes a new file.
func describe(name string, file *os.File) (Info, []byte, error) {
	st, err := file.Stat()
	if err != nil {
		return Info{}, nil, err
	}
	if !st.Mode().IsRegular() {
		return Info{}, nil, fs.ErrNotExist
	}
	info := Info{Name: name, Size: st.Size(), Modified: st.ModTime()}
	if st.Size() > smallFile {
		id, err := osfile.IdentifyOpen(file)
		if err != nil {
			return Info{}, nil, err
		}
		info.ETag = fmt.Sprintf("%d-%d-%d", id.File, st.Size(), st.ModTime().UnixNano())
		return info, nil, nil
	}
	data, err := io.ReadAll(io.LimitReader(file, smallFile+1))
	if err != nil {
		return Info{}, nil, err
	}
	sum := sha512.Sum512(data)
	info.Size, info.SHA512 = int64(len(data)), hex.EncodeToString(sum[:])
	info.ETag = info.SHA512
	return info, data, nil
}

// List implements Store. Leftovers of interrupted writes and the lock are not files
// of the store.
func (f *folder) List(ctx context.Context, prefix string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		if st, err := os.Stat(f.root); err != nil || !st.IsDir() {
			yield(Info{}, &OpError{Op: "listing", Name: prefix, Store: f.String(), Err: ErrNoStore})
			return
		}
		root, err := webroot.OpenRoot(f.root)
		if err != nil {
			yield(Info{}, f.fail("listing", prefix, err))
			return
		}
		defer func() { _ = root.Close() }()
		// Start at the deepest folder that the prefix names.
		start := "."
		if i := strings.LastIndexByte(prefix, '/'); i > 0 && checkName(prefix[:i]) == nil {
			start = prefix[:i]
		}
		if err := root.Check(start); err != nil {
			yield(Info{}, f.fail("listing", prefix, err))
			return
		}
		err = fs.WalkDir(root.FS(), start, func(name string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil // removed while we walk, or nothing below the prefix
			}
			if err == nil {
				err = ctx.Err()
			}
			if err != nil || d.IsDir() || atomicfile.IsTemp(d.Name()) || d.Name() == lockName {
				return err
			}
			return yieldFile(name, prefix, d, yield)
		})
		if err != nil && !errors.Is(err, fs.SkipAll) {
			yield(Info{}, f.fail("listing", prefix, err))
		}
	}
}

// yieldFile tells of a regular file. A link is none: nothing asks for it, and a file of
// that name takes its place.
func yieldFile(name, prefix string, d fs.DirEntry, yield func(Info, error) bool) error {
	if !strings.HasPrefix(name, prefix) || !d.Type().IsRegular() {
		return nil
	}
	st, err := d.Info()
	if err != nil {
		return nil // removed while we walk
	}
	if !yield(Info{Name: name, Size: st.Size(), Modified: st.ModTime()}, nil) {
		return fs.SkipAll
	}
	return nil
}

// Delete implements Store.
func (f *folder) Delete(ctx context.Context, name string) error {
	if err := f.enter(ctx, name); err != nil {
		return f.fail("deleting", name, err)
	}
	root, err := webroot.OpenRoot(f.root)
	if err != nil {
		return f.fail("deleting", name, err)
	}
	defer func() { _ = root.Close() }()
	if err = root.Check(path.Dir(name)); err == nil {
		err = root.Remove(filepath.FromSlash(name))
	}
	if err != nil {
		err = f.fail("deleting", name, err)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	removeEmpty(root, path.Dir(name))
	return nil
}

// removeEmpty removes folders that a deletion left empty, up to the root.
func removeEmpty(root *webroot.Root, dir string) {
	for ; dir != "."; dir = path.Dir(dir) {
		if root.Remove(filepath.FromSlash(dir)) != nil {
			return
		}
	}
}
