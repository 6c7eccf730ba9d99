package repo

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/fleet-hsm/fleet-hsm/internal/osfile"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// destination is where a published path really is: a folder that exists, and the rest of the
// path below it in lower case. Two published paths at one destination are one file, or would
// be on a file system that does not tell upper from lower case.
type destination struct {
	id   osfile.ID
	rest string
}

// checkOneFile refuses a commit that would write over another published path's file,
// whatever makes the two one: a link in place of a folder, a file system that takes
// "Edge" for "edge", a hard link. Hash-named files of one content may be hard links of
// each other; they are never written in place. Errors: *RefusedError{SameFile}.
func (r *Repo) checkOneFile(rel *Release, renames []rename) error {
	c := oneFile{r: r, folders: map[string]destination{}, at: map[destination]string{}, inodes: map[osfile.ID]string{}}
	written, folded := map[string]bool{}, map[string]string{}
	for _, m := range renames {
		if err := c.claim(m.To); err != nil {
			return err
		}
		written[m.To], folded[strings.ToLower(m.To)] = true, m.To
		if id, there := c.inode(m.To); there && strings.HasPrefix(m.To, "repository/targets/") {
			c.inodes[id] = m.To
		}
	}
	// A path that this commit leaves alone has its file already, so only a destination
	// that is there can be the same.
	if rel.c == nil || len(c.inodes) == 0 {
		return nil
	}
	for _, name := range rel.publishedNames() {
		id, there := c.inode(name)
		if to, near := folded[strings.ToLower(name)]; near && there && !written[name] && c.oneFile(to, name) {
			return meta.Refuse(meta.SameFile, "%q and %q are one file here: this file system does not tell upper from lower case", to, name)
		}
		to, same := c.inodes[id]
		if written[name] || !there || !same {
			continue
		}
		if err := c.claim(name); err != nil {
			return err
		}
		if !rel.root.ConsistentSnapshot() {
			return meta.Refuse(meta.SameFile, "%q and %q are hard links of one file, and only one of them changes", to, name)
		}
	}
	return nil
}

// publishedNames gives the files of all targets after the commit, as journals name them.
func (rel *Release) publishedNames() []string {
	t := rel.c.targets
	if t == nil {
		t = rel.p.Targets
	}
	names := make([]string, 0, t.Len())
	for _, path := range t.Paths() {
		target, _, err := t.Get(path)
		if err != nil || meta.CheckPath(path) != nil {
			continue // told where it is needed
		}
		if rel.root.ConsistentSnapshot() {
			path = meta.HashedPath(path, target.SHA512)
		}
		names = append(names, "repository/targets/"+path)
	}
	return names
}

type oneFile struct {
	r       *Repo
	folders map[string]destination
	at      map[destination]string
	inodes  map[osfile.ID]string
}

// claim notes where a name is, and refuses a destination that another name has.
func (c *oneFile) claim(name string) error {
	full := c.r.path(filepath.FromSlash(name))
	dir, err := c.folder(filepath.Dir(full))
	if err != nil {
		return err
	}
	at := destination{dir.id, dir.rest + "/" + strings.ToLower(filepath.Base(full))}
	if other, taken := c.at[at]; taken && other != name {
		return meta.Refuse(meta.SameFile, "%q and %q are one file here, or differ only in upper and lower case: one would take the other's place", name, other)
	}
	c.at[at] = name
	return nil
}

// folder finds the nearest folder above that exists.
func (c *oneFile) folder(dir string) (destination, error) {
	if p, known := c.folders[dir]; known {
		return p, nil
	}
	id, err := osfile.Identify(dir)
	p := destination{id: id}
	if notExist(err) && filepath.Dir(dir) != dir {
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
func (c *oneFile) oneFile(to, name string) bool {
	_, there := c.inode(to)
	return there && !(c.spelled(name) && c.spelled(to))
}

// spelled reports whether a name that is there is so spelled on disk. FUSE file systems
// give one file two inode numbers under two spellings, so these tell nothing there.
func (c *oneFile) spelled(name string) bool {
	for dir, base := filepath.Split(filepath.FromSlash(name)); base != ""; dir, base = filepath.Split(filepath.Clean(dir)) {
		entries, err := os.ReadDir(c.r.path(dir))
		if err != nil || !slices.ContainsFunc(entries, func(e os.DirEntry) bool { return e.Name() == base }) {
			return false
		}
		if dir == "" {
			return true
		}
	}
	return true
}

func (c *oneFile) inode(name string) (osfile.ID, bool) {
	id, err := osfile.Identify(c.r.path(filepath.FromSlash(name)))
	return id, err == nil
}
