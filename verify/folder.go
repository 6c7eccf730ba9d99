package verify

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// folder is a web root on disk. A symlink in it is followed as a web server may follow it,
// but never out of the folder: what lies elsewhere on this machine is not published.
type folder struct {
	dir  string
	root *os.Root
}

func openFolder(dir string) (*folder, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &folder{dir, root}, nil
}

// webRoot is dir, or dir/repository if only that looks like a web root.
func webRoot(dir string) (string, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return "", err
	}
	if !info.IsDir() {
		return "", fmt.Errorf("%q is not a folder", dir)
	}
	below := filepath.Join(dir, "repository")
	if !looksPublished(dir) && looksPublished(below) {
		return below, nil
	}
	return dir, nil
}

func looksPublished(dir string) bool {
	for _, name := range []string{"root.json", "timestamp.json", "1.root.json"} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			return true
		}
	}
	return false
}

// OldestRoot reads the N.root.json with the lowest N in a folder (a web root, or
// the working directory above it): what a caller without a pinned root may begin
// with, at the price of trusting the folder for it. It gives the file's name.
func OldestRoot(dir string) (name string, root []byte, err error) {
	dir, err = webRoot(dir)
	if err != nil {
		return "", nil, err
	}
	f, err := openFolder(dir)
	if err != nil {
		return "", nil, err
	}
	defer f.close()
	versions, ok := f.roots()
	name = "root.json"
	if ok && len(versions) > 0 {
		name = rootFile(versions[0])
	}
	b, err := f.fetch(context.Background(), name)
	if err != nil {
		return "", nil, fmt.Errorf("reading %q: %w", filepath.Join(dir, name), err)
	}
	return name, b.data, nil
}

// file opens a regular file without ever waiting for one: O_NONBLOCK returns at
// once on a FIFO that took the file's place after the check.
func (f *folder) file(name string) (*os.File, fs.FileInfo, error) {
	local := filepath.FromSlash(name)
	if !filepath.IsLocal(local) {
		return nil, nil, fmt.Errorf("%q leads out of the folder", name)
	}
	info, err := f.root.Stat(local)
	if err != nil {
		return nil, nil, pathError(err)
	}
	if !info.Mode().IsRegular() {
		return nil, nil, fmt.Errorf("%w: %s", errNotRegular, kindOf(info.Mode()))
	}
	file, err := f.root.OpenFile(local, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, pathError(err)
	}
	info, err = file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errNotRegular
	}
	if err != nil {
		file.Close()
		return nil, nil, err
	}
	return file, info, nil
}

// pathError drops the machine's path from err; findings name the file already.
func pathError(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return errMissing
	}
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

func kindOf(m fs.FileMode) string {
	switch {
	case m.IsDir():
		return "a directory"
	case m&fs.ModeNamedPipe != 0:
		return "a FIFO"
	case m&fs.ModeSocket != 0:
		return "a socket"
	case m&fs.ModeDevice != 0:
		return "a device"
	}
	return "of mode " + m.String()
}

func (f *folder) fetch(_ context.Context, name string) (blob, error) {
	file, info, err := f.file(name)
	if err != nil {
		return blob{}, err
	}
	defer file.Close()
	if info.Size() > maxMetadata {
		return blob{}, fmt.Errorf("%w: %d bytes", errTooLarge, info.Size())
	}
	data, err := readLimited(file)
	if err != nil {
		return blob{}, pathError(err)
	}
	return blob{data: data, modified: info.ModTime(), announced: -1}, nil
}

func (f *folder) open(_ context.Context, name string) (content, error) {
	file, info, err := f.file(name)
	if err != nil {
		return content{}, err
	}
	return content{ReadCloser: file, size: info.Size()}, nil
}

func (f *folder) stat(_ context.Context, name string) (int64, string, error) {
	local := filepath.FromSlash(name)
	if !filepath.IsLocal(local) {
		return 0, "", fmt.Errorf("%q leads out of the folder", name)
	}
	info, err := f.root.Stat(local)
	if err != nil {
		return 0, "", pathError(err)
	}
	if !info.Mode().IsRegular() {
		return 0, "", fmt.Errorf("%w: %s", errNotRegular, kindOf(info.Mode()))
	}
	return info.Size(), inode(info), nil
}

func (f *folder) roots() ([]int64, bool) {
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return nil, false
	}
	var versions []int64
	for _, e := range entries {
		if v, ok := rootVersion(e.Name()); ok {
			versions = append(versions, v)
		}
	}
	slices.Sort(versions)
	return versions, true
}

func (f *folder) leftovers() []string {
	var found []string
	for _, name := range []string{".backup", "staged", "keys", "pending"} {
		if _, err := os.Lstat(filepath.Join(f.dir, name)); err == nil {
			found = append(found, name)
		}
	}
	return found
}

func (f *folder) close() { _ = f.root.Close() }

func rootFile(version int64) string {
	return strconv.FormatInt(version, 10) + ".root.json"
}

// rootVersion reads N out of "N.root.json"; 007.root.json is none.
func rootVersion(name string) (int64, bool) {
	n, ok := strings.CutSuffix(name, ".root.json")
	if !ok {
		return 0, false
	}
	v, err := strconv.ParseInt(n, 10, 64)
	if err != nil || v < 1 || strconv.FormatInt(v, 10) != n {
		return 0, false
	}
	return v, true
}
