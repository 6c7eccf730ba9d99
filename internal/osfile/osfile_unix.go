//go:build unix

package osfile

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// NonBlock, as a flag of os.OpenFile: opening a FIFO does not wait for a writer.
const NonBlock = unix.O_NONBLOCK

// TryLock is [Lock] without waiting; not taken: another has it.
func TryLock(f *os.File) (taken bool, err error) {
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EWOULDBLOCK):
			return false, nil
		case err != nil:
			return false, &os.PathError{Op: "locking", Path: f.Name(), Err: err}
		default:
			return true, nil
		}
	}
}

// Identify gives the file that a path leads to, through symbolic links.
func Identify(path string) (ID, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return ID{}, &os.PathError{Op: "looking at", Path: path, Err: err}
	}
	return ID{uint64(st.Dev), st.Ino}, nil //nolint:unconvert // Dev is an int32 on macOS
}

// IdentifyOpen is [Identify] of an open file.
func IdentifyOpen(f *os.File) (ID, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return ID{}, &os.PathError{Op: "looking at", Path: f.Name(), Err: err}
	}
	return ID{uint64(st.Dev), st.Ino}, nil //nolint:unconvert // Dev is an int32 on macOS
}

// CheckWritable says why no file could be made in a folder.
func CheckWritable(dir string) error {
	if err := unix.Access(dir, unix.W_OK|unix.X_OK); err != nil {
		return &os.PathError{Op: "writing into", Path: dir, Err: err}
	}
	return nil
}
