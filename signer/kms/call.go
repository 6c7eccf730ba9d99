package kms

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/fleet-hsm/fleet-hsm/internal/bounded"
	"github.com/fleet-hsm/fleet-hsm/internal/childenv"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

// call is one run of a plug-in.
type call struct {
	program, method string
	withheld        []string
	hears           *hearing
	state           *os.ProcessState
}

var (
	errTooLate = errors.New("no answer in time")
	errTooMuch = errors.New("too much of an answer")
)

// grace is how long the output is read after the program has been killed.
const grace = 500 * time.Millisecond

// do runs the plug-in of u once. Errors: *ProgramError, *DeadlineError, *AnswerError,
// *RefusedError, or that ctx has ended.
func (b *Backend) do(ctx context.Context, u signer.URI, ui signer.UI, method, algorithm string, message []byte) (*call, *answer, error) {
	c := &call{program: programOf(u), method: method}
	if err := b.turn(ctx); err != nil {
		return c, nil, err
	}
	defer b.giveTurn()
	path, err := b.opts.find(c.program)
	if err != nil {
		return c, nil, err
	}
	limited, stop := context.WithTimeoutCause(ctx, b.opts.timeout(), errTooLate)
	defer stop()
	cmd, err := b.command(limited, c, path, u, algorithm)
	if err != nil {
		return c, nil, err
	}
	cmd.Stdin = bytes.NewReader(message)
	c.hears = newHearing(c.program, ui)
	out, err := c.run(limited, cmd)
	c.hears.end()
	if err != nil {
		return c, nil, c.judge(ctx, err, cmd)
	}
	a, err := c.decode(out)
	return c, a, err
}

// command is a plug-in that is not started yet.
func (b *Backend) command(ctx context.Context, c *call, path string, u signer.URI, algorithm string) (*exec.Cmd, error) {
	name, _ := u.Attr(attrName)
	ref, _ := u.Attr(attrRef)
	deadline, _ := ctx.Deadline()
	args, err := json.Marshal(newRequest(c.method, ref, algorithm, deadline.UTC()))
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(path, protocolVersion, string(args))
	// Where the tool was started may be a stick with a request, and interpreters look for
	// code in the folder that they are started in.
	cmd.Dir = filepath.Dir(path)
	cmd.Env, c.withheld = childenv.Of(os.Environ(), b.opts.meant(name))
	cmd.WaitDelay = grace
	return cmd, nil
}

// run starts the plug-in, reads its answer and ends all that it started.
func (c *call) run(ctx context.Context, cmd *exec.Cmd) ([]byte, error) {
	ctx, give := context.WithCancelCause(ctx)
	defer give(nil)
	out := bounded.New(maxAnswer, func() { give(errTooMuch) })
	cmd.Stdout, cmd.Stderr = out, c.hears
	err := together(ctx, cmd)
	c.state = cmd.ProcessState
	if cause := context.Cause(ctx); cause != nil {
		return nil, cause
	}
	var exit *exec.ExitError
	if err == nil || errors.As(err, &exit) || errors.Is(err, exec.ErrWaitDelay) {
		return out.Bytes(), nil // the exit status means nothing
	}
	return nil, err
}

// judge says what ended a run that gave no answer.
func (c *call) judge(ctx context.Context, err error, cmd *exec.Cmd) error {
	switch {
	case errors.Is(err, errTooMuch):
		return c.wrong("is longer than %d KiB; the program was ended", maxAnswer>>10)
	case errors.Is(err, errTooLate), errors.Is(ctx.Err(), context.DeadlineExceeded):
		return &DeadlineError{Program: c.program, Method: c.method, After: time.Since(c.hears.began)}
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return &ProgramError{Program: cmd.Path, Code: "program-start", Reason: "does not start", Err: err}
}

// ended says how a program ended that gave no answer, and what it said last.
func (c *call) ended() string {
	s := ""
	if c.state != nil {
		s = fmt.Sprintf(" (%s)", c.state)
	}
	if last := c.hears.last; last != "" {
		s += fmt.Sprintf("; it said %q", last)
	}
	return s
}
