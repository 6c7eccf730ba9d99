//go:build !linux

package kms

import (
	"context"
	"os/exec"
)

// together runs a program and ends it, with what it started where the system has process
// groups, when it has ended or ctx has.
func together(ctx context.Context, cmd *exec.Cmd) error {
	kill := grouped(cmd)
	if err := cmd.Start(); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, kill)
	defer stop()
	err := cmd.Wait()
	kill()
	return err
}
