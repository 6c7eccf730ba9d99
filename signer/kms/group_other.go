//go:build !unix

package kms

import "os/exec"

// grouped: there are no process groups here; the answer ends the program alone.
func grouped(cmd *exec.Cmd) (kill func()) {
	return func() { _ = cmd.Process.Kill() }
}
