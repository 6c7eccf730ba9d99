package tty

import "golang.org/x/sys/unix"

const (
	getState = unix.TIOCGETA
	setState = unix.TIOCSETA
)

// flush throws away what was typed and not read.
func flush(fd int) error { return unix.IoctlSetPointerInt(fd, unix.TIOCFLUSH, 1) } // FREAD
