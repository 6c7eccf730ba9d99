package repo

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// Commands that only read take no lock. They may run beside a commit, or after one
// that was killed between two of its renames, when repository/ holds old and new files
// together. What is in the journal is decided: readers see the repository as it will
// be when the renames are done, which is also what the next command that writes makes
// of it.

// readTries bounds how often a reader begins again because a commit overtook it.
const readTries = 20

// readMetadata reads a file of the web root, at most limit bytes, and only if it is
// a regular file; from pending/commit if a journal is about to move it there. A
// missing file is fs.ErrNotExist.
func (r *Repo) readMetadata(name string, limit int64) ([]byte, error) {
	if from, ok := r.decided(name); ok {
		// Gone means moved meanwhile.
		if data, err := readLimited(from, "repository/"+name, limit); !notExist(err) {
			return data, err
		}
	}
	if err := r.unlinked("repository/" + name); err != nil {
		return nil, err
	}
	return readLimited(r.web(name), "repository/"+name, limit)
}

// ReadRole reads N.ROLE.json, or ROLE.json for version 0; see readMetadata.
func (r *Repo) ReadRole(role string, version int64) ([]byte, error) {
	return r.readMetadata(meta.FileName(role, version), tuf.MaxSize(role))
}

// decided gives the prepared file that the journal moves to a name of the web root. A
// journal that cannot be read is told by [Repo.InterruptedCommit] and [Repo.Lock].
func (r *Repo) decided(name string) (string, bool) {
	j, found, err := r.readJournal()
	if err != nil || !found {
		return "", false
	}
	for _, m := range j.Renames {
		if m.To == "repository/"+name && r.finishable(j) {
			return r.pending(m.From), true
		}
	}
	return "", false
}

// settled loads again when a commit of another process changed files in between: what
// was read then is of two states and says nothing. With the lock held that never
// happens.
func (r *Repo) settled(load func() (*Published, error)) (*Published, error) {
	for range readTries {
		before := r.fingerprint()
		p, err := load()
		if err == nil && len(p.Warnings) == 0 || before == r.fingerprint() {
			return p, err
		}
	}
	return load()
}

// fingerprint changes with every step of a commit that readers could notice.
func (r *Repo) fingerprint() string {
	var b strings.Builder
	for _, file := range []string{r.pending("journal"), r.web("root.json"), r.web("targets.json"), r.web("snapshot.json"), r.web("timestamp.json")} {
		st, err := os.Stat(file)
		if err != nil {
			b.WriteString("- ")
			continue
		}
		fmt.Fprintf(&b, "%d %d ", st.ModTime().UnixNano(), st.Size())
	}
	return b.String()
}

// goesWithCommit reports whether the change that a reader found in change.json is
// published by a commit that runs, was interrupted, or has just ended.
func (r *Repo) goesWithCommit(refused error) bool {
	var moved *meta.RefusedError
	if !errors.As(refused, &moved) || moved.Kind != meta.PublishedMoved {
		return false
	}
	if j, found, err := r.readJournal(); err == nil && found && r.finishable(j) {
		return j.Change
	}
	staged, err := r.HasStaged()
	return err == nil && !staged
}
