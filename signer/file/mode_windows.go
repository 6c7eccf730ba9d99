package file

import (
	"io/fs"

	"github.com/fleet-hsm/fleet-hsm/internal/owned"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

// ownersAlone refuses a file that others can use. The mode says nothing here, the access
// list does.
func ownersAlone(path string, _ fs.FileInfo) error { return refuse(path, owned.Uses) }

// ownersToReplace refuses a folder in which others can replace a file.
func ownersToReplace(dir string, _ fs.FileInfo) error { return refuse(dir, owned.Replaces) }

func refuse(path string, what owned.Access) error {
	who, err := owned.Others(path, what)
	if err == nil && who != "" {
		err = &signer.FileModeError{Path: path, Want: 0o600, Who: who}
	}
	return err
}
