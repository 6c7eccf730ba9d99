// Package atomicfile writes files that are either the old ones or the new ones,
// whatever kills the process or the machine: a temporary file in the same folder,
// fsync, rename, fsync of the folder.
package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// tempMark starts the name of every temporary file, so leftovers can be told from
// files that mean something.
const tempMark = ".fleet-hsm-tmp-"

// Write replaces or creates path with data, mode perm.
func Write(path string, data []byte, perm fs.FileMode) error {
	tmp, err := writeTemp(path, data, perm)
	if err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		_ = os.Remove(tmp)
		return err
	}
	return SyncDir(filepath.Dir(path))
}

// Create writes a file that must not exist; otherwise the error is fs.ErrExist and
// nothing is changed.
func Create(path string, data []byte, perm fs.FileMode) error {
	tmp, err := writeTemp(path, data, perm)
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp) }()
	// A hard link fails if the name is taken; a rename would replace it.
	if err := os.Link(tmp, path); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return &fs.PathError{Op: "create", Path: path, Err: fs.ErrExist}
		}
		return createExclusive(path, data, perm)
	}
	return SyncDir(filepath.Dir(path))
}

// createExclusive serves file systems without hard links.
func createExclusive(path string, data []byte, perm fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return err
	}
	if err := fill(f, data, perm); err != nil {
		_ = os.Remove(path)
		return err
	}
	return SyncDir(filepath.Dir(path))
}

func writeTemp(path string, data []byte, perm fs.FileMode) (string, error) {
	f, err := os.CreateTemp(filepath.Dir(path), tempMark+"*")
	if err != nil {
		return "", fmt.Errorf("writing %q: %w", path, err)
	}
	if err := fill(f, data, perm); err != nil {
		_ = os.Remove(f.Name())
		return "", fmt.Errorf("writing %q: %w", path, err)
	}
	return f.Name(), nil
}

func fill(f *os.File, data []byte, perm fs.FileMode) error {
	_, err := f.Write(data)
	if err == nil {
		err = setMode(f, perm)
	}
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// SyncDir makes the names in a folder durable. Windows has no call for that: it flushes no
// folder, and NTFS writes its log of names by itself.
func SyncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	return d.Sync()
}

// TempDir makes a folder in dir, for its user alone, that is told from what means
// something as temporary files are.
func TempDir(dir string) (string, error) {
	name, err := os.MkdirTemp(dir, tempMark+"*")
	if err != nil {
		return "", err
	}
	return name, keepFolder(name)
}

// PrivateDirs makes a folder for its user alone, and those above it. One that is there
// stays as it is.
func PrivateDirs(dir string) error {
	if st, err := os.Stat(dir); err == nil && st.IsDir() {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return keepFolder(dir)
}

// IsTemp reports whether name (a base name) is a leftover of this package.
func IsTemp(name string) bool { return strings.HasPrefix(name, tempMark) }

// Replace is Write without waiting for the disk: other processes see the old file or
// the new one, a power cut may leave the old one, or an empty one.
func Replace(path string, data []byte, perm fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), tempMark+"*")
	if err != nil {
		return fmt.Errorf("writing %q: %w", path, err)
	}
	_, err = f.Write(data)
	if err == nil {
		err = setMode(f, perm)
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return fmt.Errorf("writing %q: %w", path, err)
	}
	return nil
}
