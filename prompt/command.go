package prompt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
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
	out := &limitedOutput{full: func() { give(errTooMuch) }}
	cmd := exec.CommandContext(limited, "/bin/sh", "-c", command)
	given, withheld := childEnv(os.Environ(), command)
	cmd.Env = given
	cmd.Stdout, cmd.Stderr = out, os.Stderr
	cmd.WaitDelay = commandGrace
	slow := time.AfterFunc(commandSaysAfter, func() {
		say("still waiting for the secret source %q; it has %s in all", "cmd:"+command, commandLimit)
	})
	err := runTogether(cmd, func() { give(context.Canceled) })
	slow.Stop()
	return out.kept(err, context.Cause(limited), ctx.Err(), withheld)
}

// limitedOutput keeps the first bytes of what a command writes.
type limitedOutput struct {
	buf  bytes.Buffer
	full func()
}

// Write implements io.Writer.
func (o *limitedOutput) Write(p []byte) (int, error) {
	if o.buf.Len()+len(p) > maxSecret+2 {
		o.full()
		return 0, errTooMuch
	}
	return o.buf.Write(p)
}

// kept judges a command that has ended: err is what it ended with, cause why we ended
// it, stopped that somebody stopped us.
func (o *limitedOutput) kept(err, cause, stopped error, withheld []string) ([]byte, error) {
	var exit *exec.ExitError
	switch {
	case stopped != nil:
		return nil, stopped
	case errors.Is(cause, context.Canceled):
		return nil, context.Canceled // Ctrl-C, which the command's group got
	case errors.Is(cause, errTooMuch), errors.Is(err, errTooMuch):
		return nil, errTooMuch
	case errors.Is(cause, errTooLong):
		return nil, errTooLong
	case errors.Is(err, exec.ErrWaitDelay):
		return o.buf.Bytes(), nil // a child of it keeps the output open, and has nothing to say
	case errors.As(err, &exit):
		// ExitError.Stderr could hold anything; only the status is repeated.
		return nil, &CommandError{exit.ExitCode(), withheld}
	case err != nil:
		return nil, err
	}
	return o.buf.Bytes(), nil
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

// childEnv drops what holds secrets: ours always, and others unless the command names
// them ($VAULT_TOKEN). withheld are the names of the others.
func childEnv(env []string, command string) (given, withheld []string) {
	for _, kv := range env {
		name, value, _ := strings.Cut(kv, "=")
		switch {
		case isOurs(name):
		case !isSecret(name, value), strings.Contains(command, "$"+name), strings.Contains(command, "${"+name):
			given = append(given, kv)
		default:
			withheld = append(withheld, name)
		}
	}
	return given, withheld
}

// isOurs: a variable that one of our own secrets is taken from.
func isOurs(name string) bool {
	ours := strings.HasPrefix(name, "FLEET_") || strings.HasPrefix(name, "TUF_")
	return ours && (strings.HasSuffix(name, "_PASSPHRASE") || strings.HasSuffix(name, "_PIN"))
}

// isSecret judges a variable by the words of its name, and an address by a password in
// it: AWS_SECRET_ACCESS_KEY, VAULT_TOKEN, PGPASSWORD, DATABASE_URL. What only names a
// file, a folder or a socket stays: SSH_AUTH_SOCK, AWS_WEB_IDENTITY_TOKEN_FILE.
func isSecret(name, value string) bool {
	name = strings.ToUpper(name)
	words := strings.Split(name, "_")
	last := words[len(words)-1]
	switch {
	case slices.Contains([]string{"FILE", "SOCK", "PATH", "DIR", "HOME", "URI", "ENDPOINT"}, last), name == "PWD", name == "OLDPWD":
		return false
	case slices.Contains([]string{"KEY", "PASS", "PWD", "AUTH", "SESSION", "COOKIE"}, last), strings.HasPrefix(name, "OP_SESSION_"):
		return true
	}
	for _, word := range words {
		if slices.Contains([]string{"PIN", "PUK", "TOKEN", "APIKEY", "CREDENTIAL", "CREDENTIALS", "PRIVATE"}, word) {
			return true
		}
	}
	for _, part := range []string{"PASSW", "PASSPHRASE", "SECRET", "TOKEN"} {
		if strings.Contains(name, part) {
			return true
		}
	}
	u, err := url.Parse(value)
	if err != nil || u.User == nil || last == "PROXY" {
		return false
	}
	_, has := u.User.Password()
	return has
}
