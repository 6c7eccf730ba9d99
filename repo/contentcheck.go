package repo

import (
	"crypto/sha512"
	"encoding/hex"
	"io"
	"os"
	"time"

	"github.com/fleet-hsm/fleet-hsm/internal/osfile"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// Content is published under the hash that metadata names, and what lies in pending/ or
// in the web root may have been changed since it was put there. So a commit hashes what
// it publishes before it writes the journal, each file once; only a file that this very
// process has hashed while it was copied is not read again.

// fileState tells whether a file is the one that was hashed, and as it was then.
type fileState struct {
	id    osfile.ID
	size  int64
	mtime time.Time // not the ctime: a further link of a file changes it
}

func stateOf(file string) (fileState, bool) {
	fi, err := os.Lstat(file)
	if err != nil || !fi.Mode().IsRegular() {
		return fileState{}, false
	}
	id, err := osfile.Identify(file)
	return fileState{id: id, size: fi.Size(), mtime: fi.ModTime()}, err == nil
}

// hashedNow notes that a file was hashed, and what came out.
func (r *Repo) hashedNow(file, sum string) {
	if st, ok := stateOf(file); ok {
		if r.hashed == nil {
			r.hashed = map[fileState]string{}
		}
		r.hashed[st] = sum
	}
}

// checkContent refuses a file that does not hold the bytes of t. Errors:
// *RefusedError{MissingContent}.
func (r *Repo) checkContent(file string, t meta.Target) error {
	st, there := stateOf(file)
	sum := r.hashed[st]
	if !there || sum == "" {
		n := int64(0)
		var err error
		if sum, n, err = hashFile(file); err != nil {
			return err
		}
		r.rehashed += n
		r.hashedNow(file, sum)
	}
	if sum != t.SHA512 {
		return meta.Refuse(meta.MissingContent, "the bytes of target %q have changed: they have sha512 %.16s, and metadata says %.16s", t.Path, sum, t.SHA512)
	}
	return nil
}

func hashFile(file string) (sum string, n int64, err error) {
	f, err := os.Open(file)
	if err != nil {
		return "", 0, err
	}
	defer func() { _ = f.Close() }()
	h := sha512.New()
	n, err = io.Copy(h, f)
	return hex.EncodeToString(h.Sum(nil)), n, err
}
