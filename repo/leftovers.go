package repo

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// FleetctlLeftovers lists what fleetctl left behind when it failed: files below
// staged/ and the .backup folders of a rotation. Nothing of it is ever read.
func (r *Repo) FleetctlLeftovers() ([]string, error) {
	var found []string
	for _, dir := range []string{"repository/.backup", "keys/.backup"} {
		if ok, err := exists(r.path(filepath.FromSlash(dir))); err != nil {
			return nil, err
		} else if ok {
			found = append(found, dir)
		}
	}
	root := r.path("staged")
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if notExist(err) {
			return nil
		}
		if err != nil {
			return err
		}
		if !e.IsDir() {
			rel, rerr := filepath.Rel(r.dir, path)
			if rerr != nil {
				return rerr
			}
			found = append(found, filepath.ToSlash(rel))
		}
		return nil
	})
	return found, err
}

// StagedRoot reports whether staged/root.json is among the leftovers: the tuf tool keeps
// a change of root there while people sign it, and fleetctl leaves one when it fails.
// Nothing tells which it is.
func StagedRoot(leftovers []string) bool { return slices.Contains(leftovers, "staged/root.json") }

// DropFleetctlLeftovers removes them. What may be somebody's is not deleted: a key backup,
// which may hold the only copy of a key, is moved to keys/retired/; a staged root, which
// may carry signatures of people far away, with all of staged/ to staged.kept-TIME.
func (r *Repo) DropFleetctlLeftovers() error {
	if there, err := exists(r.path("staged", "root.json")); err != nil {
		return err
	} else if there {
		if err := os.Rename(r.path("staged"), r.path("staged.kept-"+r.now().UTC().Format("20060102T150405Z"))); err != nil {
			return err
		}
	}
	if ok, err := exists(r.path("keys", ".backup")); err != nil {
		return err
	} else if ok {
		if err := os.MkdirAll(r.path("keys", "retired"), 0o700); err != nil {
			return err
		}
		to := r.path("keys", "retired", "fleetctl-backup-"+r.now().UTC().Format("20060102T150405Z"))
		if err := os.Rename(r.path("keys", ".backup"), to); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(r.web(".backup")); err != nil {
		return err
	}
	entries, err := os.ReadDir(r.path("staged"))
	if err != nil && !notExist(err) {
		return err
	}
	for _, e := range entries {
		if err := os.RemoveAll(r.path("staged", e.Name())); err != nil {
			return err
		}
	}
	return nil
}
