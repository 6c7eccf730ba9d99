package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// commandTime bounds one run; nothing here takes a tenth of it.
const commandTime = 2 * time.Minute

// tool is a binary under test: fleet-hsm or the peer.
type tool struct {
	bin  string
	home string // an empty home folder: the caller's settings must not count
}

// result is what one finished run left.
type result struct {
	code   int // -1: killed by a signal
	out    string
	stderr string
}

func (t tool) env() []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + t.home, "TMPDIR=" + t.home, "LC_ALL=C.UTF-8",
		"FLEET_ROOT_PASSPHRASE=root passphrase", "FLEET_TARGETS_PASSPHRASE=targets passphrase",
		"FLEET_SNAPSHOT_PASSPHRASE=snapshot passphrase", "FLEET_TIMESTAMP_PASSPHRASE=timestamp passphrase",
	}
}

// command prepares a run on the repository in dir.
func (t tool) command(ctx context.Context, dir string, args []string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, t.bin, append([]string{"--path", dir}, args...)...)
	cmd.Env = t.env()
	cmd.Dir = t.home
	return cmd
}

// run runs a command to its end.
func (t tool) run(dir string, args ...string) (result, error) {
	ctx, cancel := context.WithTimeout(context.Background(), commandTime)
	defer cancel()
	var out, errs bytes.Buffer
	cmd := t.command(ctx, dir, args)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if ctx.Err() != nil {
		return result{}, fmt.Errorf("%q hangs: %w", args, ctx.Err())
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return result{}, err
	}
	return result{cmd.ProcessState.ExitCode(), out.String(), errs.String()}, nil
}

// must runs a command that prepares something: it has to succeed.
func (t tool) must(dir string, args ...string) (result, error) {
	res, err := t.run(dir, args...)
	if err == nil && res.code != 0 {
		err = fmt.Errorf("%s %q: exit %d: %s", filepath.Base(t.bin), args, res.code, res.stderr)
	}
	return res, err
}
