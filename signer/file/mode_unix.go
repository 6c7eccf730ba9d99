//go:build unix

package file

import (
	"io/fs"

	"github.com/fleet-hsm/fleet-hsm/signer"
)

// ownersAlone refuses a file that others can use.
func ownersAlone(path string, st fs.FileInfo) error {
	if m := st.Mode().Perm(); m&0o077 != 0 {
		return &signer.FileModeError{Path: path, Mode: uint32(m), Want: 0o600, Fixed: fixedMode(st)}
	}
	return nil
}

// ownersToReplace refuses a folder in which others can replace a file.
func ownersToReplace(dir string, st fs.FileInfo) error {
	if m := st.Mode().Perm(); m&0o022 != 0 && st.Mode()&fs.ModeSticky == 0 {
		return &signer.FileModeError{Path: dir, Mode: uint32(m), Want: 0o700, Fixed: fixedMode(st)}
	}
	return nil
}
