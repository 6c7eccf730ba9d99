package repo

import (
	"os"

	"golang.org/x/sys/unix"
)

// reflink shares the blocks of src with dst (FICLONE); false where it cannot.
func reflink(dst, src *os.File) bool {
	return unix.IoctlFileClone(int(dst.Fd()), int(src.Fd())) == nil
}

// startWriteback asks the kernel to begin writing a range. It is a hint: an error
// changes nothing, fsync follows.
func startWriteback(f *os.File, off, n int64) {
	_ = unix.SyncFileRange(int(f.Fd()), off, n, unix.SYNC_FILE_RANGE_WRITE)
}
