//go:build unix

package owned

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// maxLinks bounds how many symbolic links are followed.
const maxLinks = 40

func check(path, full string, o Options) (string, error) {
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
