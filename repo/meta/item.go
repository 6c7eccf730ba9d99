package meta

import (
	"path/filepath"
	"slices"
)

// Item is one file to publish under a version and channels.
type Item struct {
	Name, Platform, Version string
	// Channels besides the version, which is always one.
	Channels []string
	// File is the source; its suffix counts for the target path.
	File string
}

// Paths gives the target paths of the item, the version's first, each once. Errors:
// *NameError.
func (it Item) Paths() ([]string, error) {
	if err := CheckElement("version", it.Version); err != nil {
		return nil, err
	}
	var paths []string
	for _, channel := range append([]string{it.Version}, it.Channels...) {
		p, err := TargetPath(it.Name, it.Platform, channel, filepath.Base(it.File))
		if err != nil {
			return nil, err
		}
		if !slices.Contains(paths, p) {
			paths = append(paths, p)
		}
	}
	return paths, nil
}

// CheckItems refuses two items that claim one path with different files. Errors:
// *NameError, *RefusedError{VersionTaken}.
func CheckItems(items []Item) error {
	claimed := map[string]string{}
	for _, it := range items {
		paths, err := it.Paths()
		if err != nil {
			return err
		}
		for _, p := range paths {
			if other, taken := claimed[p]; taken && other != it.File {
				return Refuse(VersionTaken, "target %q is claimed by %q and by %q", p, other, it.File)
			}
			claimed[p] = it.File
		}
	}
	return nil
}
