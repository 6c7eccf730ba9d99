//go:build !unix

package store

import (
	"io/fs"
	"os"
)

// tryLock: a folder without a lock between processes would be no store.
func tryLock(*os.File) (bool, error) { return false, ErrUnsupported }

func inode(fs.FileInfo) uint64 { return 0 }
