package edit

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/fleet-hsm/fleet-hsm/internal/atomicfile"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// Unreferenced is a file below repository/targets that no metadata names.
type Unreferenced struct {
	Path   string    `json:"path"` // below targets/, slashes
	Length int64     `json:"length"`
	Since  time.Time `json:"modified"`
}

// FindUnreferenced lists content that was published once and that neither the published
// targets.json, nor the staged one, nor a numbered one that was in force within the
// last grace names. Files whose names do not have the form that fleet-hsm or fleetctl
// gives them are never listed. An agent may still be about to fetch what it learnt of
// a moment ago: grace is how long such a moment may be.
func FindUnreferenced(r *repo.Repo, p *repo.Published, staged *repo.Change, grace time.Duration) ([]Unreferenced, error) {
	inForce, err := named(r, p, staged, grace)
	if err != nil {
		return nil, err
	}
	var out []Unreferenced
	limit := r.Now().Add(-grace)
	root := web(r, "targets")
	err = filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() || inForce[rel] || !publishedForm(rel) || info.ModTime().After(limit) {
			return err
		}
		out = append(out, Unreferenced{Path: rel, Length: info.Size(), Since: info.ModTime().UTC()})
		return nil
	})
	return out, err
}

// publishedForm reports whether a path below targets/ looks like one that add made.
func publishedForm(rel string) bool {
	_, _, _, _, ok := meta.SplitPath(rel)
	return ok
}

// named gives every path below targets/ that some metadata in force names, in both
// layouts' forms as far as they apply.
func named(r *repo.Repo, p *repo.Published, staged *repo.Change, grace time.Duration) (map[string]bool, error) {
	paths := map[string]bool{}
	keep := func(t *meta.Targets) error { return nameAll(paths, t, p.Root.ConsistentSnapshot()) }
	if err := keep(p.Targets); err != nil {
		return nil, err
	}
	if staged != nil && staged.Targets() != nil {
		if err := keep(staged.Targets()); err != nil {
			return nil, err
		}
	}
	for _, role := range append([]string{meta.RoleTargets}, p.Listed()...) {
		recent, err := recentTargets(r, role, grace)
		if err != nil {
			return nil, err
		}
		for _, t := range recent {
			if err := keep(t); err != nil {
				return nil, err
			}
		}
	}
	return paths, nameCold(p, staged, keep)
}

// nameCold keeps what the roles besides targets name.
func nameCold(p *repo.Published, staged *repo.Change, keep func(*meta.Targets) error) error {
	for _, role := range p.Listed() {
		t, err := p.ListedTargets(role)
		if err == nil {
			err = keep(t)
		}
		if err == nil && staged != nil && staged.ColdTargets(role) != nil {
			err = keep(staged.ColdTargets(role))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func web(r *repo.Repo, name string) string {
	return filepath.Join(r.Dir(), "repository", filepath.FromSlash(name))
}

func nameAll(named map[string]bool, t *meta.Targets, consistent bool) error {
	for _, path := range t.Paths() {
		if !consistent {
			named[path] = true
			continue
		}
		target, _, err := t.Get(path)
		if err != nil {
			return err
		}
		named[meta.HashedPath(path, target.SHA512)] = true
	}
	return nil
}

// recentTargets reads the numbered files of targets, or of another role with entries, that
// were in force within grace: all but those whose successor is older than that. One that
// cannot be read is an error: what it names is not known to be unused.
func recentTargets(r *repo.Repo, role string, grace time.Duration) ([]*meta.Targets, error) {
	versions, err := r.Numbered(role)
	if err != nil {
		return nil, err
	}
	var out []*meta.Targets
	for i, n := range versions {
		// Of targets each version is published; a cold role has only some numbers.
		if i+1 < len(versions) && (role != meta.RoleTargets || versions[i+1] == n+1) {
			next, err := os.Stat(web(r, meta.FileName(role, versions[i+1])))
			if err != nil {
				return nil, err
			}
			if next.ModTime().Before(r.Now().Add(-grace)) {
				continue
			}
		}
		t, err := r.NumberedTargets(role, n)
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, nil
}

// RemoveUnreferenced deletes garbage and the folders that it leaves empty. The lock must be
// held.
func RemoveUnreferenced(r *repo.Repo, list []Unreferenced) error {
	dirs := map[string]bool{}
	for _, g := range list {
		file := web(r, "targets/"+g.Path)
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		dirs[filepath.Dir(file)] = true
	}
	for dir := range dirs {
		if err := pruneEmpty(dir, web(r, "targets")); err != nil {
			return err
		}
	}
	return nil
}

// pruneEmpty removes a folder and those above it, up to stop, as long as they are
// empty.
func pruneEmpty(dir, stop string) error {
	for dir != stop && len(dir) > len(stop) {
		entries, err := os.ReadDir(dir)
		if errors.Is(err, fs.ErrNotExist) {
			dir = filepath.Dir(dir)
			continue
		}
		if err != nil {
			return err
		}
		if len(entries) > 0 {
			return atomicfile.SyncDir(dir)
		}
		if err := os.Remove(dir); err != nil {
			return err
		}
		dir = filepath.Dir(dir)
	}
	return atomicfile.SyncDir(stop)
}
