package osfile

import (
	"os"

	"golang.org/x/sys/unix"
)

// CreateFrom makes a new file; filled says that it has src's bytes already, in blocks that
// the two share (clonefile, which APFS has; it makes the file itself).
func CreateFrom(src *os.File, to string) (dst *os.File, filled bool, err error) {
	if unix.Clonefile(src.Name(), to, unix.CLONE_NOFOLLOW|unix.CLONE_NOOWNERCOPY) != nil {
		dst, err = create(to)
		return dst, false, err
	}
	if err := os.Chmod(to, 0o600); err != nil { // the clone has src's mode, perhaps 0400
		return nil, false, err
	}
	dst, err = os.OpenFile(to, os.O_WRONLY, 0)
	return dst, true, err
}
