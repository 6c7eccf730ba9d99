package repo

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/fleet-hsm/fleet-hsm/internal/atomicfile"
	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// Unreferenced is a file below repository/targets that no metadata names.
type Unreferenced struct {
	Path   string    `json:"path"` // below targets/, slashes
	Length int64     `json:"length"`
	Since  time.Time `json:"modified"`
}

// Unreferenced lists content that was published once and that neither the published
// targets.json, nor the staged one, nor a numbered one that was in force within the
// last grace names. Files whose names do not have the form that fleet-hsm or fleetctl
// gives them are never listed. An agent may still be about to fetch what it learnt of
// a moment ago: grace is how long such a moment may be.
func (r *Repo) Unreferenced(p *Published, staged *Change, grace time.Duration) ([]Unreferenced, error) {
	named, err := r.named(p, staged, grace)
	if err != nil {
		return nil, err
	}
	var out []Unreferenced
	limit := r.now().Add(-grace)
	root := r.web("targets")
	err = filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			if notExist(err) {
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
		if err != nil || !info.Mode().IsRegular() || named[rel] || !publishedForm(rel) || info.ModTime().After(limit) {
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
func (r *Repo) named(p *Published, staged *Change, grace time.Duration) (map[string]bool, error) {
	named := map[string]bool{}
	keep := func(t *meta.Targets) error { return nameAll(named, t, p.Root.ConsistentSnapshot()) }
	if err := keep(p.Targets); err != nil {
		return nil, err
	}
	if staged != nil && staged.targets != nil {
		if err := keep(staged.targets); err != nil {
			return nil, err
		}
	}
	for _, role := range append([]string{meta.RoleTargets}, p.Listed()...) {
		recent, err := r.recentTargets(role, grace)
		if err != nil {
			return nil, err
		}
		for _, t := range recent {
			if err := keep(t); err != nil {
				return nil, err
			}
		}
	}
	return named, r.nameCold(p, staged, keep)
}

// nameCold keeps what the roles besides targets name.
func (r *Repo) nameCold(p *Published, staged *Change, keep func(*meta.Targets) error) error {
	for _, role := range p.Listed() {
		t, err := p.listedTargets(role)
		if err == nil {
			err = keep(t)
		}
		if err == nil && staged != nil && staged.cold[role] != nil {
			err = keep(staged.cold[role].targets)
		}
		if err != nil {
			return err
		}
	}
	return nil
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
func (r *Repo) recentTargets(role string, grace time.Duration) ([]*meta.Targets, error) {
	lists, err := r.numbered()
	if err != nil {
		return nil, err
	}
	versions := lists[role]
	var out []*meta.Targets
	for i, n := range versions {
		// Of targets each version is published; a cold role has only some numbers.
		if i+1 < len(versions) && (role != meta.RoleTargets || versions[i+1] == n+1) {
			next, err := os.Stat(r.web(versioned(versions[i+1], role+".json")))
			if err != nil {
				return nil, err
			}
			if next.ModTime().Before(r.now().Add(-grace)) {
				continue
			}
		}
		t, err := r.readNumbered(role, n)
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, nil
}

func (r *Repo) readNumbered(role string, n int64) (*meta.Targets, error) {
	name := versioned(n, role+".json")
	data, err := r.readMetadata(name, tuf.MaxTargets)
	if err != nil {
		return nil, err
	}
	env, err := meta.ParseEnvelope(data)
	if err != nil {
		return nil, &meta.FileError{File: "repository/" + name, Err: err}
	}
	return meta.ParseTargets(env.Text())
}

// RemoveUnreferenced deletes garbage and the folders that it leaves empty. The lock must be
// held.
func (r *Repo) RemoveUnreferenced(list []Unreferenced) error {
	dirs := map[string]bool{}
	for _, g := range list {
		file := r.web("targets/" + g.Path)
		if err := os.Remove(file); err != nil && !notExist(err) {
			return err
		}
		dirs[filepath.Dir(file)] = true
	}
	for dir := range dirs {
		if err := pruneEmpty(dir, r.web("targets")); err != nil {
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
