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
package owned

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
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

// maxLinks bounds how many symbolic links are followed.
const maxLinks = 40

// Check follows path and gives it without symbolic links. Errors: *Error, or what the
// system says of a file that is not there.
func Check(path string, o Options) (string, error) {
	full, err := filepath.Abs(path)
	if err != nil || !checks {
		return full, err
	}
	w := walk{path: path, todo: strings.Split(strings.TrimPrefix(full, "/"), "/"), at: "/"}
	if err := w.folder("/"); err != nil {
		return "", err
	}
	for len(w.todo) > 0 {
		if err := w.step(o); err != nil {
			return "", err
		}
	}
	return w.at, w.keepsOwners()
}

// walk is where Check has come to: nobody else can change at, nor what leads there.
type walk struct {
	path  string
	at    string
	todo  []string
	links int
	// shared: at is a folder that others may put files into.
	shared bool
}

func (w *walk) refuse(part, why string) error { return &Error{Path: w.path, Part: part, Why: why} }

func (w *walk) step(o Options) error {
	name := w.todo[0]
	w.todo = w.todo[1:]
	switch name {
	case "", ".":
		return nil
	case "..":
		w.at = filepath.Dir(w.at)
		return w.folder(w.at)
	}
	next := filepath.Join(w.at, name)
	fi, err := os.Lstat(next)
	if err != nil {
		return err
	}
	if why := strangersFile(fi); why != "" {
		return w.refuse(next, why)
	}
	switch {
	case fi.Mode()&fs.ModeSymlink != 0:
		return w.follow(next)
	case fi.IsDir():
		w.at = next
		return w.folder(next)
	}
	if w.shared && o.Code {
		return w.refuse(filepath.Dir(next), "is a folder that anybody may write to")
	}
	why := othersWrite(next, fi)
	if perm := fi.Mode().Perm(); o.Code && perm&0o022 != 0 {
		why = fmt.Sprintf("is writable by others (mode %04o)", perm)
	}
	if why != "" {
		return w.refuse(next, why)
	}
	w.at = next
	return nil
}

func (w *walk) follow(link string) error {
	if w.links++; w.links > maxLinks {
		return fmt.Errorf("%q: %w", w.path, errors.New("too many symbolic links"))
	}
	to, err := os.Readlink(link)
	if err != nil {
		return err
	}
	if filepath.IsAbs(to) {
		w.at, w.shared = "/", false
	}
	w.todo = append(strings.Split(to, "/"), w.todo...)
	return nil
}

// folder checks one that the walk has come to.
func (w *walk) folder(dir string) error {
	fi, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	w.shared = false
	if why := strangersFile(fi); why != "" {
		return w.refuse(dir, why)
	}
	why := othersWrite(dir, fi)
	if why == "" {
		return nil
	}
	if fi.Mode()&fs.ModeSticky == 0 {
		return w.refuse(dir, why)
	}
	w.shared = true
	return nil
}
