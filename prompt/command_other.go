//go:build !unix

package prompt

import "os/exec"

// runTogether runs a command; there are no process groups here.
func runTogether(cmd *exec.Cmd, _ func()) error { return cmd.Run() }
