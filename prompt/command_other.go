//go:build !unix

package prompt

import "os/exec"

// together: there are no process groups here.
func together(*exec.Cmd) {}
