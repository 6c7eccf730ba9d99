package prompt

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// shell is a command line as the system's shell reads it: cmd.exe of the system's own
// folder, since COMSPEC and PATH are anybody's. It takes the line as it is, between quotes
// that it removes; the quoting of other programs' arguments would be wrong.
func shell(ctx context.Context, command string) *exec.Cmd {
	program := filepath.Join(os.Getenv("SystemRoot"), "System32", "cmd.exe")
	cmd := exec.CommandContext(ctx, program)
	cmd.SysProcAttr = &syscall.SysProcAttr{CmdLine: `"` + program + `" /D /S /C "` + command + `"`}
	return cmd
}

// runTogether runs a command; there are no process groups here.
func runTogether(cmd *exec.Cmd, _ func()) error { return cmd.Run() }
