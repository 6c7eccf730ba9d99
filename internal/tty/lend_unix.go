//go:build unix

package tty

import (
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// Lend has the process that attr is for read this terminal, in a process group of its own:
// it may ask a person, Ctrl-C reaches it and all its children, and not us. Ctrl-Z does
// nothing meanwhile, since whoever started us would not learn of it. It lends nothing if
// the terminal is not ours at this moment (a job in the background). giveBack takes it back,
// in the state in which it was.
func (t *Terminal) Lend(attr *syscall.SysProcAttr) (giveBack func(), lent bool) {
	fd := int(t.in.Fd())
	holder, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP)
	if err != nil || holder != unix.Getpgrp() {
		return func() {}, false
	}
	state, err := term.GetState(fd)
	if err != nil {
		return func() {}, false
	}
	// Who is not in the terminal's group and changes it is stopped, unless it ignores this.
	signal.Ignore(syscall.SIGTTOU, syscall.SIGTSTP)
	attr.Setpgid, attr.Foreground, attr.Ctty = true, true, fd
	return func() {
		_ = unix.IoctlSetPointerInt(fd, unix.TIOCSPGRP, holder)
		_ = term.Restore(fd, state)
		signal.Reset(syscall.SIGTTOU, syscall.SIGTSTP)
	}, true
}
