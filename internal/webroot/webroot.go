// Package webroot opens files below a folder that a web server gives out. Others may
// write there: a symbolic link that they plant must neither lead a write out of the
// folder nor bring a file in. So no element below the root may be a link, and even one
// that appears between the look and the use leads nowhere else, since everything goes
// through [os.Root].
//
// The root itself may be a link: whoever names it means what it leads to.
package webroot

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

// LinkError: an element below the web root is a symbolic link.
type LinkError struct{ Path string }

func (e *LinkError) Error() string {
	return fmt.Sprintf("%q is a symbolic link, and below a web root none is followed", e.Path)
}

// Root is an open web root.
type Root struct{ *os.Root }

// OpenRoot opens the folder dir.
func OpenRoot(dir string) (*Root, error) {
	r, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &Root{r}, nil
}

// Check refuses a name (with slashes) of which an element is a symbolic link. What is
// not there is no link. Errors: *LinkError.
func (r *Root) Check(name string) error {
	at := ""
	for e := range strings.SplitSeq(name, "/") {
		at = path.Join(at, e)
		st, err := r.Lstat(filepath.FromSlash(at))
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
			return nil
		case err != nil:
			return err
		case st.Mode()&fs.ModeSymlink != 0:
			return &LinkError{Path: filepath.Join(r.Name(), filepath.FromSlash(at))}
		}
	}
	return nil
}

// Open opens a file for reading; one that is no file does not block.
func (r *Root) Open(name string) (*os.File, error) {
	if err := r.Check(name); err != nil {
		return nil, err
	}
	return r.OpenFile(filepath.FromSlash(name), os.O_RDONLY|syscall.O_NONBLOCK, 0)
}

// MakeDirs makes a folder and those above it; "." is the root.
func (r *Root) MakeDirs(dir string) error {
	if err := r.Check(dir); err != nil || dir == "." {
		return err
	}
	return r.MkdirAll(filepath.FromSlash(dir), 0o755)
}

// CreateTemp makes a new file beside name; prefix begins its own name.
func (r *Root) CreateTemp(name, prefix string) (file *os.File, temp string, err error) {
	temp = path.Join(path.Dir(name), prefix+rand.Text())
	file, err = r.OpenFile(filepath.FromSlash(temp), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	return file, temp, err
}

// SyncDir makes the names in a folder durable; "." is the root. Windows has no call for
// that.
func (r *Root) SyncDir(name string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := r.Root.Open(filepath.FromSlash(name))
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	return d.Sync()
}

// Check is [Root.Check] of a folder that may not be there.
func Check(dir, name string) error {
	r, err := OpenRoot(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	return r.Check(name)
}

// Open is [Root.Open].
func Open(dir, name string) (*os.File, error) {
	r, err := OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }()
	return r.Open(name)
}

// Stat tells about a file, which may be of any kind but a link.
func Stat(dir, name string) (fs.FileInfo, error) {
	r, err := OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }()
	if err := r.Check(name); err != nil {
		return nil, err
	}
	return r.Lstat(filepath.FromSlash(name))
}

// ReadFile reads a whole file.
func ReadFile(dir, name string) ([]byte, error) {
	f, err := Open(dir, name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return io.ReadAll(f)
}
