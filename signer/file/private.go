package file

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/fleet-hsm/fleet-hsm/internal/atomicfile"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

// KeepsPrivate finds out, before a key is made, whether the file system of a new key
// file lets it be kept from others: FAT, exFAT and others give every file the mode that
// they were mounted with. It tries that with an empty file in the nearest folder that is
// there, and leaves nothing. Errors: *signer.FileModeError with Fixed.
func (b *Backend) KeepsPrivate(u signer.URI) error {
	path := b.path(u)
	if err := tryPrivate(path, os.Stat); err != nil {
		return &signer.KeyError{Op: "making key", URI: u, Err: err}
	}
	return nil
}

// tryPrivate takes how a file's mode is looked at.
func tryPrivate(path string, stat func(string) (fs.FileInfo, error)) (err error) {
	dir := filepath.Dir(path)
	for {
		_, serr := os.Stat(dir)
		if !errors.Is(serr, fs.ErrNotExist) || filepath.Dir(dir) == dir {
			break
		}
		dir = filepath.Dir(dir)
	}
	tmp, err := atomicfile.TempDir(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	probe := filepath.Join(tmp, "probe")
	if err := os.WriteFile(probe, nil, 0o600); err != nil {
		return err
	}
	// Some say that they cannot, some say nothing; the mode that is there counts.
	_ = atomicfile.Replace(probe, nil, 0o600)
	st, err := stat(probe)
	if err != nil {
		return err
	}
	if err := ownersAlone(probe, st); err != nil {
		return fixedAt(path, err)
	}
	if st, err = stat(tmp); err != nil {
		return err
	}
	return fixedAt(filepath.Dir(path), ownersToReplace(tmp, st))
}

// fixedAt says of a path what was found where it was tried.
func fixedAt(path string, err error) error {
	var fm *signer.FileModeError
	if errors.As(err, &fm) {
		fm.Path, fm.Fixed = path, true
	}
	return err
}
