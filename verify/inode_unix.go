//go:build unix

package verify

import (
	"fmt"
	"io/fs"
	"syscall"
)

// inode identifies a file across its hard links.
func inode(info fs.FileInfo) string {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	return fmt.Sprintf("%d:%d", st.Dev, st.Ino)
}
