package repo

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fleet-hsm/fleet-hsm/internal/atomicfile"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// recover finishes an interrupted commit and clears what else was left below
// pending/. The lock must be held. mending: see [Repo.LockToMend].
func (r *Repo) recover(mending bool) ([]string, error) {
	j, found, err := r.readJournal()
	if mending && notJournal(err) {
		return r.dropCommit("its journal cannot be read (%v)", err)
	}
	if err != nil {
		return nil, err
	}
	r.clearTemps()
	if !found {
		return r.clearPending()
	}
	if name := r.overtaken(j); name != "" {
		return r.dropCommit("%q has moved on since then, so an old copy of pending/ was put back or another tool has published", name)
	}
	lost := r.lostOf(j)
	switch {
	case len(lost) > 0 && !mending:
		return nil, lostFile(lost[0].To)
	case len(lost) > 0 && !r.seen(j):
		return r.dropCommit("%q, which it had put in place, is gone, and clients have seen nothing of it", lost[0].To)
	}
	j.Renames = without(j.Renames, lost)
	if err := r.apply(j); err != nil {
		return nil, err
	}
	done := []string{fmt.Sprintf("finished an interrupted commit (%d files)", len(j.Renames))}
	for _, m := range lost {
		done = append(done, fmt.Sprintf("%q, which it had put in place, is gone", m.To))
	}
	// It may have been killed while it noted what it had published.
	_, err = r.clearPending()
	return done, err
}

// dropCommit gives an interrupted commit up: what is gone from pending/commit was
// published, the rest never is.
func (r *Repo) dropCommit(why string, args ...any) ([]string, error) {
	if err := os.Remove(r.pending("journal")); err != nil {
		return nil, err
	}
	_, err := r.clearPending()
	return []string{"dropped an interrupted commit: " + fmt.Sprintf(why, args...)}, err
}

// notJournal: the file is there, no newer fleet-hsm has written it, and no commit either.
func notJournal(err error) bool {
	var bad *meta.FileError
	return errors.As(err, &bad)
}

// InterruptedCommit reports whether a commit was interrupted and waits for the next
// command that writes; for commands that only read.
func (r *Repo) InterruptedCommit() (bool, error) {
	j, found, err := r.readJournal()
	return found && r.finishable(j), err
}

// finishable reports whether the next holder of the lock finishes an interrupted commit,
// so that readers may see it as published.
func (r *Repo) finishable(j journal) bool {
	return r.overtaken(j) == "" && len(r.lostOf(j)) == 0
}

// lostOf gives the renames of a journal that can be neither made nor found made: the file
// was put in place and taken away since, by a restored copy or by hand.
func (r *Repo) lostOf(j journal) []rename {
	var lost []rename
	for _, m := range j.Renames {
		// In this order: a commit that goes on beside a reader moves from the one to the other.
		if !r.prepared(m) && notExist(lstat(r.path(filepath.FromSlash(m.To)))) {
			lost = append(lost, m)
		}
	}
	return lost
}

func (r *Repo) prepared(m rename) bool {
	return !notExist(lstat(r.pending(filepath.FromSlash(m.From))))
}

func lstat(file string) error {
	_, err := os.Lstat(file)
	return err
}

// seen reports whether clients may have seen something of an interrupted commit: metadata,
// or in the flat layout content that took the place of other content.
func (r *Repo) seen(j journal) bool {
	if p, err := r.loadRoot(); err != nil || !p.Root.ConsistentSnapshot() {
		return true
	}
	return slices.ContainsFunc(j.Renames, func(m rename) bool {
		return !strings.HasPrefix(m.To, "repository/targets/") && !r.prepared(m)
	})
}

func without(renames, lost []rename) []rename {
	return slices.DeleteFunc(renames, func(m rename) bool { return slices.Contains(lost, m) })
}

// lostFile: an interrupted commit cannot be finished.
func lostFile(to string) error {
	return meta.Refuse(meta.LostFile, "an interrupted commit cannot be finished: %q was put in place by it, and is gone", to)
}

// clearPending removes what an interrupted command left and no staged change uses.
func (r *Repo) clearPending() ([]string, error) {
	entries, err := os.ReadDir(r.pending())
	if err != nil {
		return nil, err
	}
	keep, err := r.HasStaged()
	if err != nil {
		return nil, err
	}
	cleared := false
	for _, e := range entries {
		gone := e.Name() == "commit" || atomicfile.IsTemp(e.Name()) || e.Name() == "content" && !keep
		if !gone {
			continue
		}
		if err := os.RemoveAll(r.pending(e.Name())); err != nil {
			return nil, err
		}
		cleared = true
	}
	if cleared {
		return []string{"cleared what an interrupted command left in pending/; nothing of it was published"}, nil
	}
	return nil, nil
}

// staleTemp is when a temporary file counts as left behind. Outside of pending/ the
// lock alone does not tell: "key passwd" and others write there without it.
const staleTemp = time.Minute

// clearTemps removes temporary files that killed commands left beside keys and
// configuration. Trouble with it is none of the command's: it is litter, no more.
func (r *Repo) clearTemps() {
	for _, dir := range []string{".", "keys", "keys/retired", "attestations"} {
		entries, err := os.ReadDir(r.path(filepath.FromSlash(dir)))
		if err != nil {
			continue
		}
		for _, e := range entries {
			info, err := e.Info()
			if err != nil || !atomicfile.IsTemp(e.Name()) || r.now().Sub(info.ModTime()) < staleTemp {
				continue
			}
			_ = os.Remove(r.path(filepath.FromSlash(dir), e.Name()))
		}
	}
}
