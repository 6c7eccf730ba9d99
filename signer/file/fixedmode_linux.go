package file

import (
	"bufio"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// fixedMode reports whether a file is on a file system whose modes are those of the
// mount, as far as its kind tells: nothing is written to find out.
func fixedMode(st fs.FileInfo) bool {
	sys, ok := st.Sys().(*syscall.Stat_t)
	if !ok {
		return false
	}
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }()
	device := fmt.Sprintf("%d:%d", unix.Major(sys.Dev), unix.Minor(sys.Dev))
	for lines := bufio.NewScanner(f); lines.Scan(); {
		about, kind, _ := strings.Cut(lines.Text(), " - ")
		if fields := strings.Fields(about); len(fields) > 2 && fields[2] == device {
			kind, _, _ = strings.Cut(kind, " ")
			return slices.Contains([]string{"vfat", "msdos", "exfat", "fuseblk", "ntfs", "cifs", "smb3", "vboxsf", "hfs"}, kind)
		}
	}
	return false
}
