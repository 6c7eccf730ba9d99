// Package owned tells whether a file can be believed: whether nobody but the user and
// root can have written it or can put another one in its place.
//
// [Check] walks a path from the root of the file system, link by link. Each folder, each
// symbolic link and the file itself must belong to the user or to root and be writable by
// nobody else. A folder that others may write to but not take from (/tmp with its sticky
// bit) does for what is below it, if that belongs to the user or to root. What this does
// not see: who has root's powers, an administrator of the machine, and a file system that
// somebody made elsewhere with the user's number in it (a stick).
//
// Group-writable is writable by somebody else unless the group has no other member, as
// the groups that many systems make for each user. A mount that is read-only is not
// written to by anybody. A file system that keeps no owners (a DOS or ISO one) says of
// everything that it is the user's, and proves nothing.
//
// On Windows the access lists are asked: the file and each folder above it must belong to
// the user, the system or the administrators, and nobody else may change or replace it.
package owned

import (
	"fmt"
	"path/filepath"
)

// Error says why a file does not count: what is wrong with it, or with a folder or link
// on the way to it.
type Error struct {
	Path string // as it was given
	Part string // the file, folder or link that is wrong
	Why  string // "belongs to user 1000 (alice)", "is writable by others (mode 0777)"
}

func (e *Error) Error() string {
	what := "it"
	if e.Part != e.Path {
		what = fmt.Sprintf("%q", e.Part)
	}
	return fmt.Sprintf("%q does not count here: %s %s", e.Path, what, e.Why)
}

// Options say how strict Check is.
type Options struct {
	// Code: the file is going to be run. No group at all may write to it, and it must not
	// lie right in a folder that others may write to, even if they cannot replace it.
	Code bool
}

// Check follows path and gives it without symbolic links. Errors: *Error, or what the
// system says of a file that is not there.
func Check(path string, o Options) (string, error) {
	full, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	return check(path, full, o)
}
