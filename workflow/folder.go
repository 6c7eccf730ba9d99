package workflow

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// MakeFolder makes the folder of a new repository if it is not there, with those above it.
// drop takes away again what it made, as far as nothing is in it.
func MakeFolder(path string) (drop func(), err error) {
	var made []string
	for p := filepath.Clean(path); ; p = filepath.Dir(p) {
		if _, err := os.Stat(p); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		made = append(made, p)
	}
	drop = func() {
		if len(made) > 0 {
			_ = os.Remove(filepath.Join(path, "pending", "lock"))
			_ = os.Remove(filepath.Join(path, "pending"))
		}
		for _, p := range made {
			_ = os.Remove(p) // one that holds something stays
		}
	}
	if len(made) == 0 {
		return drop, nil
	}
	if err := os.MkdirAll(path, 0o755); err != nil {
		drop()
		return nil, fmt.Errorf("making the folder of the repository: %w", err)
	}
	return drop, nil
}
