package osfile

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// NonBlock, as a flag of os.OpenFile: nothing that is opened here waits for a writer.
const NonBlock = 0

// lockAt is the byte that is locked: a lock keeps readers out of what it covers, so it
// lies where no file has anything.
const lockAt = 1 << 30

// TryLock is [Lock] without waiting; not taken: another has it.
func TryLock(f *os.File) (taken bool, err error) {
	at := &windows.Overlapped{OffsetHigh: lockAt}
	err = windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, at)
	switch {
	case errors.Is(err, windows.ERROR_LOCK_VIOLATION), errors.Is(err, windows.ERROR_IO_PENDING):
		return false, nil
	case err != nil:
		return false, &os.PathError{Op: "locking", Path: f.Name(), Err: err}
	}
	return true, nil
}

// Identify gives the file that a path leads to, through symbolic links.
func Identify(path string) (ID, error) {
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return ID{}, &os.PathError{Op: "looking at", Path: path, Err: err}
	}
	// Backup semantics: folders are opened too.
	h, err := windows.CreateFile(name, 0, windows.FILE_SHARE_READ|windows.FILE_SHARE_WRITE|windows.FILE_SHARE_DELETE, nil, windows.OPEN_EXISTING, windows.FILE_FLAG_BACKUP_SEMANTICS, 0)
	if err != nil {
		return ID{}, &os.PathError{Op: "looking at", Path: path, Err: err}
	}
	defer func() { _ = windows.CloseHandle(h) }()
	return identify(h, path)
}

// IdentifyOpen is [Identify] of an open file.
func IdentifyOpen(f *os.File) (ID, error) { return identify(windows.Handle(f.Fd()), f.Name()) }

func identify(h windows.Handle, path string) (ID, error) {
	var info windows.ByHandleFileInformation
	if err := windows.GetFileInformationByHandle(h, &info); err != nil {
		return ID{}, &os.PathError{Op: "looking at", Path: path, Err: err}
	}
	return ID{uint64(info.VolumeSerialNumber), uint64(info.FileIndexHigh)<<32 | uint64(info.FileIndexLow)}, nil
}

// CreateFrom makes a new file; filled says that it has src's bytes already. It never has:
// only ReFS shares blocks.
func CreateFrom(_ *os.File, to string) (dst *os.File, filled bool, err error) {
	dst, err = create(to)
	return dst, false, err
}

// CheckWritable says why no file could be made in a folder: who may is for the access
// control lists to say, so it is tried.
func CheckWritable(dir string) error {
	f, err := os.CreateTemp(dir, ".fleet-hsm-tmp-*")
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}
