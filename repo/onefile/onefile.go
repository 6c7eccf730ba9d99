// Package onefile tells whether two names in a folder are one file, or would be: through a
// link in place of a folder, on a file system that takes "Edge" for "edge", as hard links.
package onefile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/fleet-hsm/fleet-hsm/internal/osfile"
)

// Error says which names are one file, and why.
type Error struct{ text string }

func (e *Error) Error() string { return e.text }

func refuse(format string, args ...any) error { return &Error{fmt.Sprintf(format, args...)} }

// destination is where a published path really is: a folder that exists, and the rest of the
// path below it in lower case. Two published paths at one destination are one file, or would
// be on a file system that does not tell upper from lower case.
type destination struct {
	id   osfile.ID
	rest string
}

// Check refuses to write names, with slashes and below root, that are one file with each
// other or with one of kept, which stay as they are. Names in content may be hard links of
// one file only if linked says so; they are never written in place. Errors: *Error, and what
// the file system says.
func Check(root, content string, names []string, kept func() []string, linked bool) error {
	c := check{root: root, folders: map[string]destination{}, at: map[destination]string{}, inodes: map[osfile.ID]string{}}
	written, folded := map[string]bool{}, map[string]string{}
	for _, name := range names {
		if err := c.claim(name); err != nil {
			return err
		}
		written[name], folded[strings.ToLower(name)] = true, name
		if id, there := c.inode(name); there && strings.HasPrefix(name, content) {
			c.inodes[id] = name
		}
	}
	// A name that stays has its file already, so only a destination that is there can be
	// the same.
	if len(c.inodes) == 0 {
		return nil
	}
	for _, name := range kept() {
		id, there := c.inode(name)
		if to, near := folded[strings.ToLower(name)]; near && there && !written[name] && c.oneFile(to, name) {
			return refuse("%q and %q are one file here: this file system does not tell upper from lower case", to, name)
		}
		to, same := c.inodes[id]
		if written[name] || !there || !same {
			continue
		}
		if err := c.claim(name); err != nil {
			return err
		}
		if !linked {
			return refuse("%q and %q are hard links of one file, and only one of them changes", to, name)
		}
	}
	return nil
}

type check struct {
	root    string
	folders map[string]destination
	at      map[destination]string
	inodes  map[osfile.ID]string
}

// claim notes where a name is, and refuses a destination that another name has.
func (c *check) claim(name string) error {
	full := filepath.Join(c.root, filepath.FromSlash(name))
	dir, err := c.folder(filepath.Dir(full))
	if err != nil {
		return err
	}
	at := destination{dir.id, dir.rest + "/" + strings.ToLower(filepath.Base(full))}
	if other, taken := c.at[at]; taken && other != name {
		return refuse("%q and %q are one file here, or differ only in upper and lower case: one would take the other's place", name, other)
	}
	c.at[at] = name
	return nil
}

// folder finds the nearest folder above that exists.
func (c *check) folder(dir string) (destination, error) {
	if p, known := c.folders[dir]; known {
		return p, nil
	}
	id, err := osfile.Identify(dir)
	p := destination{id: id}
	if errors.Is(err, fs.ErrNotExist) && filepath.Dir(dir) != dir {
		if p, err = c.folder(filepath.Dir(dir)); err == nil {
			p.rest += "/" + strings.ToLower(filepath.Base(dir))
		}
	}
	if err != nil {
		return destination{}, err
	}
	c.folders[dir] = p
	return p, nil
}

// oneFile reports whether two names that differ in case, the second of them there, are
// one file.
func (c *check) oneFile(to, name string) bool {
	_, there := c.inode(to)
	return there && !(c.spelled(name) && c.spelled(to))
}

// spelled reports whether a name that is there is so spelled on disk. FUSE file systems
// give one file two inode numbers under two spellings, so these tell nothing there.
func (c *check) spelled(name string) bool {
	for dir, base := filepath.Split(filepath.FromSlash(name)); base != ""; dir, base = filepath.Split(filepath.Clean(dir)) {
		entries, err := os.ReadDir(filepath.Join(c.root, dir))
		if err != nil || !slices.ContainsFunc(entries, func(e os.DirEntry) bool { return e.Name() == base }) {
			return false
		}
		if dir == "" {
			return true
		}
	}
	return true
}

func (c *check) inode(name string) (osfile.ID, bool) {
	id, err := osfile.Identify(filepath.Join(c.root, filepath.FromSlash(name)))
	return id, err == nil
}
