package repo

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/fleet-hsm/fleet-hsm/internal/atomicfile"
	"github.com/fleet-hsm/fleet-hsm/internal/schema"
	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// journal is pending/journal: the renames of a commit that must all happen. It is
// written when everything it names is on disk, so replaying it needs no key.
type journal struct {
	Schema int `json:"schema"`
	// Change: the staged change is part of the commit and goes with it.
	Change  bool     `json:"change"`
	Renames []rename `json:"renames"`
	// Marks are what the commit publishes, by role: after a crash the files may be gone again
	// before anybody has noted them.
	Marks map[string]mark `json:"marks,omitempty"`
}

// rename moves From, below pending/, to To, below the repository's folder.
type rename struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// webNames gives the names below the web root that the journal writes.
func (j journal) webNames() []string {
	names := make([]string, 0, len(j.Renames))
	for _, m := range j.Renames {
		names = append(names, strings.TrimPrefix(m.To, "repository/"))
	}
	return names
}

func (r *Repo) writeJournal(j journal) error {
	data, err := json.Marshal(j)
	if err != nil {
		return err
	}
	return atomicfile.Write(r.pending("journal"), data, 0o600)
}

// apply makes the renames, in order, and clears up. It may be run again after a
// crash at any point of it: a source that is gone has been renamed.
func (r *Repo) apply(j journal) error {
	dirs := newDirSet()
	for _, m := range j.Renames {
		if err := r.move(m, dirs); err != nil {
			return fmt.Errorf("publishing %q: %w", m.To, err)
		}
	}
	if err := dirs.sync(); err != nil {
		return err
	}
	r.remembered(j.webNames(), j.Marks)
	if j.Change {
		if err := r.dropStaged(); err != nil {
			return err
		}
	}
	if err := os.Remove(r.pending("journal")); err != nil && !notExist(err) {
		return err
	}
	if err := os.RemoveAll(r.pending("commit")); err != nil {
		return err
	}
	return atomicfile.SyncDir(r.pending())
}

func (r *Repo) move(m rename, dirs *dirSet) error {
	if err := r.unlinked(m.To); err != nil {
		return err
	}
	from, to := r.pending(filepath.FromSlash(m.From)), r.path(filepath.FromSlash(m.To))
	if err := dirs.make(filepath.Dir(to)); err != nil {
		return err
	}
	if err := r.checkFree(m); err != nil {
		return err
	}
	err := os.Rename(from, to)
	if notExist(err) {
		if _, serr := os.Lstat(to); notExist(serr) {
			return lostFile(m.To)
		} else if serr != nil {
			return serr
		}
		return nil
	}
	// rename(2) of two names of one inode succeeds and leaves both; the prepared name
	// goes with pending/commit.
	return err
}

func (r *Repo) readJournal() (journal, bool, error) {
	data, err := r.readPending("journal", tuf.MaxTargets)
	if notExist(err) {
		return journal{}, false, nil
	}
	if err != nil {
		return journal{}, false, err
	}
	if err := r.checkPending(); err != nil {
		return journal{}, false, err
	}
	var j journal
	if err := schema.Check("pending/journal", "schema", data, 1); err != nil {
		return journal{}, false, err
	}
	if err := json.Unmarshal(data, &j); err != nil {
		return journal{}, false, &meta.FileError{File: "pending/journal", Reason: "not a journal", Err: err}
	}
	if j.Schema != 1 {
		return journal{}, false, &meta.FileError{File: "pending/journal", Reason: fmt.Sprintf("its schema is %d, which there is none of", j.Schema)}
	}
	for _, m := range j.Renames {
		if !strings.HasPrefix(m.From, "commit/") || !strings.HasPrefix(m.To, "repository/") ||
			meta.CheckPath(m.From) != nil || meta.CheckPath(m.To) != nil {
			return journal{}, false, &meta.FileError{File: "pending/journal", Reason: fmt.Sprintf("names %q, which no commit writes", m.To)}
		}
	}
	for role, m := range j.Marks {
		if !meta.IsRole(role) || tuf.CheckVersion(role, 0, m.Version) != nil {
			return journal{}, false, &meta.FileError{File: "pending/journal", Reason: fmt.Sprintf("names version %d of %q", m.Version, role)}
		}
	}
	return j, true, nil
}

// dirSet makes folders and remembers which to sync.
type dirSet struct{ seen map[string]bool }

func newDirSet() *dirSet { return &dirSet{seen: map[string]bool{}} }

func (d *dirSet) make(dir string) error {
	if d.seen[dir] {
		return nil
	}
	if _, err := os.Stat(dir); err == nil {
		d.seen[dir] = true
		return nil
	}
	// The parent's entry for dir has to be synced as well.
	if err := d.make(filepath.Dir(dir)); err != nil {
		return err
	}
	if err := makeWebFolder(dir); err != nil {
		return err
	}
	d.seen[dir] = true
	return nil
}

func (d *dirSet) sync() error {
	for dir := range d.seen {
		if err := atomicfile.SyncDir(dir); err != nil {
			return err
		}
	}
	return nil
}
