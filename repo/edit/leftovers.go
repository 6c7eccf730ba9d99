package edit

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/fleet-hsm/fleet-hsm/repo"
)

// FleetctlLeftovers lists what fleetctl left behind when it failed: files below
// staged/ and the .backup folders of a rotation. Nothing of it is ever read.
func FleetctlLeftovers(r *repo.Repo) ([]string, error) {
	var found []string
	for _, dir := range []string{"repository/.backup", "keys/.backup"} {
		if ok, err := exists(filepath.Join(r.Dir(), filepath.FromSlash(dir))); err != nil {
			return nil, err
		} else if ok {
			found = append(found, dir)
		}
	}
	root := filepath.Join(r.Dir(), "staged")
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if !e.IsDir() {
			rel, rerr := filepath.Rel(r.Dir(), path)
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
func DropFleetctlLeftovers(r *repo.Repo) error {
	if there, err := exists(filepath.Join(r.Dir(), "staged", "root.json")); err != nil {
		return err
	} else if there {
		if err := os.Rename(filepath.Join(r.Dir(), "staged"), filepath.Join(r.Dir(), "staged.kept-"+r.Now().UTC().Format("20060102T150405Z"))); err != nil {
			return err
		}
	}
	if ok, err := exists(filepath.Join(r.Dir(), "keys", ".backup")); err != nil {
		return err
	} else if ok {
		if err := os.MkdirAll(filepath.Join(r.Dir(), "keys", "retired"), 0o700); err != nil {
			return err
		}
		to := filepath.Join(r.Dir(), "keys", "retired", "fleetctl-backup-"+r.Now().UTC().Format("20060102T150405Z"))
		if err := os.Rename(filepath.Join(r.Dir(), "keys", ".backup"), to); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(web(r, ".backup")); err != nil {
		return err
	}
	entries, err := os.ReadDir(filepath.Join(r.Dir(), "staged"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(r.Dir(), "staged", e.Name())); err != nil {
			return err
		}
	}
	return nil
}

func exists(path string) (bool, error) {
	_, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
