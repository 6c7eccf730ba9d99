package remote

import (
	"path/filepath"

	"github.com/fleet-hsm/fleet-hsm/internal/misuse"
	"github.com/fleet-hsm/fleet-hsm/store"
)

// CheckApart refuses to publish a repository into itself: files of the web root would
// lie among the keys, or the next command would find what it did not write.
func CheckApart(folder string, loc store.Location) error {
	if loc.Path == "" { // a bucket
		return nil
	}
	target := resolved(loc.Path)
	if target == resolved(folder) {
		return misuse.Errorf("%q holds this repository and its keys: name the folder that the web server serves", loc.Path)
	}
	for _, own := range []string{"repository", "keys", "pending", "staged", "attestations"} {
		if rel, err := filepath.Rel(resolved(filepath.Join(folder, own)), target); err == nil && filepath.IsLocal(rel) {
			return misuse.Errorf("%q belongs to this repository itself: name the folder that the web server serves", loc.Path)
		}
	}
	return nil
}

// resolved is a path without symbolic links, as far as it exists.
func resolved(path string) string {
	abs, err := filepath.Abs(path)
	if err != nil {
		return path
	}
	if real, err := filepath.EvalSymlinks(abs); err == nil {
		return real
	}
	if dir := filepath.Dir(abs); dir != abs {
		return filepath.Join(resolved(dir), filepath.Base(abs))
	}
	return abs
}
