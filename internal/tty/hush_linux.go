package tty

import "golang.org/x/sys/unix"

const (
	getState = unix.TCGETS
	setState = unix.TCSETS
)

// flush throws away what was typed and not read.
func flush(fd int) error { return unix.IoctlSetInt(fd, unix.TCFLSH, unix.TCIFLUSH) }
