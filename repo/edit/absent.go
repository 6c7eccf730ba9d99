package edit

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/fleet-hsm/fleet-hsm/internal/nearest"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// notFound refuses what names something that is not there; word is what was named, known
// what it could have been.
func notFound(word string, known []string, format string, args ...any) error {
	e := meta.Refuse(meta.NotFound, format, args...)
	var r *meta.RefusedError
	if errors.As(e, &r) {
		r.Near = nearest.To(word, known)
	}
	return e
}

// column gives a column of the rows, for what may have been meant.
func column(rows []meta.Row, of func(meta.Row) string) []string {
	var out []string
	for _, r := range rows {
		out = append(out, of(r))
	}
	return out
}

func channelOf(r meta.Row) string { return r.Channel }
func versionOf(r meta.Row) string { return r.Version }
func pathOf(r meta.Row) string    { return r.Path }

// removedBefore finds, among targets that are not published any more, those that once
// were: an older targets.json names them, or, in the flat layout, their bytes still lie
// where they were published.
func removedBefore(r *repo.Repo, p *repo.Published, wanted func(meta.Row) bool, paths ...string) (map[string]bool, error) {
	gone := map[string]bool{}
	kept, err := History(r, p)
	if err != nil {
		return nil, err
	}
	for _, n := range kept {
		if n.Targets == nil {
			continue
		}
		for _, path := range paths {
			if n.Targets.Entry(path) != nil {
				gone[path] = true
			}
		}
		rows, _, err := n.Targets.Rows()
		if err != nil {
			continue // one that cannot be read says nothing
		}
		for _, row := range rows {
			if wanted != nil && wanted(row) {
				gone[row.Path] = true
			}
		}
	}
	if p.Root.ConsistentSnapshot() {
		return gone, nil
	}
	for _, path := range paths {
		if meta.CheckPath(path) == nil && isFile(r, "repository/targets/"+path) {
			gone[path] = true
		}
	}
	return gone, removedFlat(r, wanted, gone)
}

func isFile(r *repo.Repo, name string) bool {
	st, err := os.Lstat(filepath.Join(r.Dir(), filepath.FromSlash(name)))
	return err == nil && st.Mode().IsRegular()
}

// removedFlat looks at the files of the flat layout.
func removedFlat(r *repo.Repo, wanted func(meta.Row) bool, gone map[string]bool) error {
	if wanted == nil {
		return nil
	}
	top := filepath.Join(r.Dir(), "repository", "targets")
	return filepath.WalkDir(top, func(at string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return nil // what cannot be read says nothing
		}
		rel, err := filepath.Rel(top, at)
		if err != nil {
			return err
		}
		path := filepath.ToSlash(rel)
		if name, platform, channel, file, ok := meta.SplitPath(path); ok {
			if row := (meta.Row{Name: name, Platform: platform, Channel: channel, File: file, Path: path}); wanted(row) {
				gone[path] = true
			}
		}
		return nil
	})
}
