//go:build linux || darwin

package tty

import (
	"sync"

	"golang.org/x/sys/unix"
)

// Hush shows nothing of what is typed, until the terminal is given back: a PIN that
// somebody types while a card waits for a touch must neither stand there in clear nor be
// the next command of their shell. Ctrl-C works. A job in the background has no say.
func (t *Terminal) Hush() (giveBack func()) {
	fd := int(t.in.Fd())
	holder, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP)
	if err != nil || holder != unix.Getpgrp() {
		return func() {}
	}
	state, err := unix.IoctlGetTermios(fd, getState)
	if err != nil || state.Lflag&unix.ECHO == 0 {
		return func() {}
	}
	quiet := *state
	quiet.Lflag &^= unix.ECHO
	if err := unix.IoctlSetTermios(fd, setState, &quiet); err != nil {
		return func() {}
	}
	return sync.OnceFunc(func() {
		_ = flush(fd)
		_ = unix.IoctlSetTermios(fd, setState, state)
	})
}
