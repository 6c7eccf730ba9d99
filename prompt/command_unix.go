//go:build unix

package prompt

import (
	"os/exec"
	"syscall"

	"github.com/fleet-hsm/fleet-hsm/internal/tty"
)

// together makes a command and its children end together. At a terminal they stay in
// the terminal's group, or they could not ask a person there; Ctrl-C reaches them all.
func together(cmd *exec.Cmd) {
	if t, err := tty.Open(); err == nil {
		_ = t.Close()
		return
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
