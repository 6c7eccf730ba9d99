//go:build unix

package atomicfile

import (
	"io/fs"
	"os"
)

// keepFolder keeps a folder from others, which its mode does.
func keepFolder(string) error { return nil }

func setMode(f *os.File, perm fs.FileMode) error { return f.Chmod(perm) }
