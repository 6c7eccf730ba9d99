//go:build unix

package prompt

import (
	"context"
	"os/exec"
	"syscall"

	"github.com/fleet-hsm/fleet-hsm/internal/tty"
)

// shell is a command line as the system's shell reads it.
func shell(ctx context.Context, command string) *exec.Cmd {
	return exec.CommandContext(ctx, "/bin/sh", "-c", command)
}

// runTogether runs a command in a process group of its own, so that it and its children end
// together. At a terminal that group has the terminal, or it could not ask a person there;
// Ctrl-C does not reach us then, and interrupted is called.
func runTogether(cmd *exec.Cmd, interrupted func()) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	t, err := tty.Open()
	if err != nil {
		return cmd.Run()
	}
	defer func() { _ = t.Close() }()
	giveBack, lent := t.Lend(cmd.SysProcAttr)
	if !lent {
		return cmd.Run()
	}
	defer giveBack()
	if err := cmd.Start(); err != nil {
		return err
	}
	watch := watchGroup(cmd.Process.Pid, interrupted)
	err = cmd.Wait()
	if watch() {
		_ = cmd.Cancel() // what the shell left behind ignores Ctrl-C
	}
	return err
}

// watchGroup calls interrupted when somebody presses Ctrl-C for a group that has the
// terminal, whatever the others in it do about that. Its answer is whether somebody did.
func watchGroup(group int, interrupted func()) (ended func() bool) {
	member := exec.Command("/bin/sh", "-c", "read -r line")
	member.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pgid: group}
	member.Env = []string{}
	in, err := member.StdinPipe()
	if err == nil {
		err = member.Start()
	}
	if err != nil {
		return func() bool { return false } // the command has ended already
	}
	died := make(chan bool, 1)
	go func() {
		_ = member.Wait()
		status, ok := member.ProcessState.Sys().(syscall.WaitStatus)
		if ok && status.Signaled() {
			interrupted()
		}
		died <- ok && status.Signaled()
	}()
	return func() bool {
		_ = in.Close()
		return <-died
	}
}
