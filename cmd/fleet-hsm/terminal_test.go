//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// patience bounds how long a dialogue waits for the tool; it is never reached when
// the tool does what it should.
const patience = 2 * time.Minute

// terminal is a pseudo-terminal with a person at the other end.
type terminal struct {
	master, slave *os.File

	mu   sync.Mutex
	seen bytes.Buffer
	read int // how much of seen earlier lines of the dialogue have matched
	over chan struct{}
	// run does the dialogue's run lines.
	run func(args []string) error
}

func openTerminal() (*terminal, error) {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		return nil, errors.Join(err, master.Close())
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		return nil, errors.Join(err, master.Close())
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, errors.Join(err, master.Close())
	}
	t := &terminal{master: master, slave: slave, over: make(chan struct{})}
	go t.watch()
	return t, nil
}

func (t *terminal) watch() {
	defer close(t.over)
	buf := make([]byte, 4096)
	for {
		n, err := t.master.Read(buf)
		t.mu.Lock()
		t.seen.Write(buf[:n])
		t.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (t *terminal) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.seen.String()
}

// close ends the terminal and gives everything that was shown on it.
func (t *terminal) close() string {
	_ = t.slave.Close()
	// The reader sees the end (EIO) once the last end is closed, after all output.
	<-t.over
	_ = t.master.Close()
	return t.text()
}

// await polls, since neither a prompt nor a mode of the terminal can be waited for.
func await(what string, done func() bool) error {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if done() {
			return nil
		}
	}
	return fmt.Errorf("waited in vain for %s", what)
}

// step does one line of a dialogue:
//
//	expect TEXT   wait until the tool has shown TEXT
//	type TEXT     type a line
//	secret TEXT   type a line once the terminal no longer shows what is typed
//	press ^C      press a key, once the terminal no longer shows what is typed
//	press-shown ^C  the same where what is typed is shown
//	run PROGRAM ... run another program to its good end, while this one waits
func (t *terminal) step(line string) error {
	verb, rest, _ := strings.Cut(line, " ")
	switch verb {
	case "expect":
		return t.expect(rest)
	case "type":
		_, err := t.master.WriteString(rest + "\n")
		return err
	case "secret", "press":
		if err := await("the echo to be off", t.unseen); err != nil {
			return err
		}
	case "press-shown":
	case "run":
		return t.run(strings.Fields(rest))
	default:
		return fmt.Errorf("unknown line %q", line)
	}
	if verb == "secret" {
		rest += "\n"
	} else {
		rest = string(rune(rest[1] - '@')) // ^C is 3
	}
	_, err := t.master.WriteString(rest)
	return err
}

func (t *terminal) expect(text string) error {
	return await(fmt.Sprintf("%q", text), func() bool {
		t.mu.Lock()
		defer t.mu.Unlock()
		i := strings.Index(t.seen.String()[t.read:], text)
		if i < 0 {
			return false
		}
		t.read += i + len(text)
		return true
	})
}

func (t *terminal) unseen() bool {
	state, err := unix.IoctlGetTermios(int(t.slave.Fd()), unix.TCGETS)
	return err == nil && state.Lflag&unix.ECHO == 0
}

// atTerminal runs cmd with a terminal of its own and plays the dialogue. It gives
// what the terminal showed.
func atTerminal(cmd *exec.Cmd, dialogue []string) (shown string, err error) {
	t, err := openTerminal()
	if err != nil {
		return "", err
	}
	t.run = func(args []string) error {
		other := exec.Command(args[0], args[1:]...)
		other.Dir, other.Env = cmd.Dir, append(cmd.Env, secretEnv()...)
		if out, err := other.CombinedOutput(); err != nil {
			return fmt.Errorf("%v: %w\n%s", args, err, out)
		}
		return nil
	}
	cmd.ExtraFiles = []*os.File{t.slave}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 3}
	if err := cmd.Start(); err != nil {
		return t.close(), err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for _, line := range dialogue {
		if err := t.step(line); err != nil {
			_ = cmd.Process.Kill()
			<-ended
			return t.close(), err
		}
	}
	select {
	case err = <-ended:
	case <-time.After(patience):
		_ = cmd.Process.Kill()
		err = errors.Join(<-ended, errors.New("it did not end after the dialogue"))
	}
	return t.close(), err
}
