package kms

import (
	"context"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// together runs a program in a process group of its own and ends the group when the
// program has ended, or when ctx has. It is killed while the program is not yet reaped:
// until then nobody else can have its number.
func together(ctx context.Context, cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for unix.Waitid(unix.P_PID, cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
		}
	}()
	select {
	case <-ended:
	case <-ctx.Done():
	}
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	<-ended
	return cmd.Wait()
}
