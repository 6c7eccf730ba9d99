// Package osfile is what files can do on one operating system and not on another, or
// under another name: locks between processes, which file a path leads to, what can be
// renamed where, copies that share their blocks. The rest of the tree asks here and is
// the same everywhere.
package osfile

import (
	"context"
	"os"
	"time"
)

// ID tells one file from another on this machine, whatever paths lead to it: device and
// inode, or volume and file index.
type ID struct{ Device, File uint64 }

// pollLock is how often a held lock is tried again.
const pollLock = 25 * time.Millisecond

func create(name string) (*os.File, error) {
	return os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
}

// Lock takes an exclusive lock on an open file, and waits for it until ctx ends. It goes
// when the file is closed or the process ends, and holds against other processes that
// lock, not against readers.
func Lock(ctx context.Context, f *os.File) error {
	for {
		taken, err := TryLock(f)
		if taken || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pollLock):
		}
	}
}
