package repo

import (
	"io/fs"
	"os"
	"path/filepath"

	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// A folder that somebody handed over may hold links in pending/ that lead to files of
// ours elsewhere: a lock would be written over them, what is "left" cleared there, what
// is "prepared" moved from there into the web root. We make no link below pending/, so
// none is followed.

// checkPending refuses a pending/ with a symbolic link anywhere in it, or that is one.
// Errors: *RefusedError{PathTaken}.
func (r *Repo) checkPending() error {
	return filepath.WalkDir(r.pending(), func(path string, e fs.DirEntry, err error) error {
		if notExist(err) {
			return nil // what is gone meanwhile is nobody's link
		}
		if err == nil && e.Type()&fs.ModeSymlink != 0 {
			return pendingLink(path)
		}
		return err
	})
}

// readPending reads a file of pending/, which is no link.
func (r *Repo) readPending(name string, limit int64) ([]byte, error) {
	for _, path := range []string{r.pending(), r.pending(name)} {
		st, err := os.Lstat(path)
		if err != nil {
			return nil, err
		}
		if st.Mode()&fs.ModeSymlink != 0 {
			return nil, pendingLink(path)
		}
	}
	return readLimited(r.pending(name), "pending/"+name, limit)
}

func pendingLink(path string) error {
	return meta.Refuse(meta.PathTaken, "%q is a symbolic link, and below pending/ none is followed", path)
}
