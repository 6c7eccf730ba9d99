//go:build unix && !linux

package kms

import (
	"os/exec"
	"syscall"
)

// grouped puts a program into a process group of its own; the answer ends the group.
func grouped(cmd *exec.Cmd) (kill func()) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
