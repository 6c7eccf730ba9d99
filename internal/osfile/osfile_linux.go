package osfile

import (
	"os"

	"golang.org/x/sys/unix"
)

// CreateFrom makes a new file; filled says that it has src's bytes already, in blocks that
// the two share (FICLONE).
func CreateFrom(src *os.File, to string) (dst *os.File, filled bool, err error) {
	dst, err = create(to)
	if err != nil {
		return nil, false, err
	}
	return dst, unix.IoctlFileClone(int(dst.Fd()), int(src.Fd())) == nil, nil
}

// SameMount reports whether files can be renamed from one folder into the other, both on
// one device: two bind mounts of one file system (volumes of a container) have one device
// number, and rename(2) still refuses. Kernels before 5.8 do not tell; then it is assumed.
func SameMount(a, b string) bool {
	var x, y unix.Statx_t
	if unix.Statx(unix.AT_FDCWD, a, 0, unix.STATX_MNT_ID, &x) != nil || unix.Statx(unix.AT_FDCWD, b, 0, unix.STATX_MNT_ID, &y) != nil {
		return true
	}
	known := x.Mask&y.Mask&unix.STATX_MNT_ID != 0
	return !known || x.Mnt_id == y.Mnt_id
}

// StartWriteback asks the kernel to begin writing a range, in bytes. It is a hint: an
// error changes nothing, fsync follows.
func StartWriteback(f *os.File, off, n int64) {
	_ = unix.SyncFileRange(int(f.Fd()), off, n, unix.SYNC_FILE_RANGE_WRITE)
}
