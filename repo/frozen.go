package repo

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"

	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// A numbered file is published once and never again with other bytes: agents that have
// it, or that ask for it a second later, would see two histories. [Repo.move] is the one
// function that renames into the web root, and it asks here.

// frozenName reports whether a name below the repository's folder is a numbered file's.
func frozenName(to string) bool {
	name, ok := strings.CutPrefix(to, "repository/")
	return ok && meta.IsNumbered(name)
}

// checkFree refuses to put other bytes under a numbered name that is taken. Errors:
// *RefusedError{VersionRegress}.
func (r *Repo) checkFree(m rename) error {
	if !frozenName(m.To) {
		return nil
	}
	there, err := os.ReadFile(r.path(filepath.FromSlash(m.To)))
	if notExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	ours, err := os.ReadFile(r.pending(filepath.FromSlash(m.From)))
	if notExist(err) || err == nil && bytes.Equal(there, ours) {
		return nil // renamed already, or the same file once more
	}
	if err != nil {
		return err
	}
	return meta.Refuse(meta.VersionRegress, "%q is published with other bytes, and agents may have it", m.To)
}

// overtaken gives a metadata file that an interrupted commit would take back or publish
// a second time: the web root went on without it, by a tool that knows no journal, or
// the journal is of an older copy of pending/. "" if there is none.
func (r *Repo) overtaken(j journal) string {
	for _, m := range j.Renames {
		name := strings.TrimPrefix(m.To, "repository/")
		if _, plain := plainRole(name); !plain && !frozenName(m.To) {
			continue
		}
		ours, err := os.ReadFile(r.pending(filepath.FromSlash(m.From)))
		if err != nil {
			continue // renamed already; what cannot be read, the rename will say
		}
		there, err := os.ReadFile(r.web(name))
		if err != nil || bytes.Equal(ours, there) {
			continue
		}
		if frozenName(m.To) || !newerBytes(ours, there) {
			return m.To
		}
	}
	return ""
}

// newerBytes reports whether a prepared file may take the place of one that is there: a
// higher version, or one that is no metadata.
func newerBytes(ours, there []byte) bool {
	old, err := markIn(there)
	if err != nil {
		return true
	}
	now, err := markIn(ours)
	return err == nil && now.Version > old.Version
}
