package prompt

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/fleet-hsm/fleet-hsm/internal/bounded"
	"github.com/fleet-hsm/fleet-hsm/internal/childenv"
)

// A cmd: source is somebody else's program: it may hang, leave children behind that
// keep its output open, or write without end. None of that may stop ours.
const (
	commandSaysAfter = 3 * time.Second
	commandLimit     = 2 * time.Minute
	// commandGrace is how long its output is waited for once it has ended.
	commandGrace = 500 * time.Millisecond
)

// errTooLong: a command that was ended because it took longer than commandLimit.
var errTooLong = fmt.Errorf("gave nothing within %s and was ended", commandLimit)

// errTooMuch: a command that was ended because of all that it wrote.
var errTooMuch = fmt.Errorf("gives more than %d bytes", maxSecret)

// runSource runs a command with the shell, as a password manager's command line is
// usually written. No secret of our environment is handed to it.
func runSource(ctx context.Context, command string, say func(string, ...any)) ([]byte, error) {
	limited, stop := context.WithTimeoutCause(ctx, commandLimit, errTooLong)
	defer stop()
	limited, give := context.WithCancelCause(limited)
	defer give(nil)
	out := bounded.New(maxSecret+2, func() { give(errTooMuch) })
	cmd := shell(limited, command)
	given, withheld := childEnv(os.Environ(), command)
	cmd.Env = given
	cmd.Stdout, cmd.Stderr = out, os.Stderr
	cmd.WaitDelay = commandGrace
	slow := time.AfterFunc(commandSaysAfter, func() {
		say("still waiting for the secret source %q; it has %s in all", "cmd:"+command, commandLimit)
	})
	err := runTogether(cmd, func() { give(context.Canceled) })
	slow.Stop()
	return kept(out.Bytes(), err, context.Cause(limited), ctx.Err(), withheld)
}

// kept judges a command that has ended: out is what it wrote, err is what it ended with, cause why we ended
// it, stopped that somebody stopped us.
func kept(out []byte, err, cause, stopped error, withheld []string) ([]byte, error) {
	var exit *exec.ExitError
	switch {
	case stopped != nil:
		return nil, stopped
	case errors.Is(cause, context.Canceled):
		return nil, context.Canceled // Ctrl-C, which the command's group got
	case errors.Is(cause, errTooMuch), errors.Is(err, bounded.ErrFull):
		return nil, errTooMuch
	case errors.Is(cause, errTooLong):
		return nil, errTooLong
	case errors.Is(err, exec.ErrWaitDelay):
		return out, nil // a child of it keeps the output open, and has nothing to say
	case errors.As(err, &exit):
		// ExitError.Stderr could hold anything; only the status is repeated.
		return nil, &CommandError{exit.ExitCode(), withheld}
	case err != nil:
		return nil, err
	}
	return out, nil
}

// CommandError: a command failed. Some fail for want of a variable that holds a secret.
type CommandError struct {
	Status   int
	Withheld []string
}

func (e *CommandError) Error() string {
	s := fmt.Sprintf("exit status %d", e.Status)
	if len(e.Withheld) > 0 {
		s += fmt.Sprintf("; not handed to it, because their names are those of secrets: %s", strings.Join(e.Withheld, ", "))
	}
	return s
}

// childEnv is the environment of a command, which may name ($VAULT_TOKEN) what it needs.
func childEnv(env []string, command string) (given, withheld []string) {
	return childenv.Of(env, func(name string) bool {
		return strings.Contains(command, "$"+name) || strings.Contains(command, "${"+name)
	})
}
