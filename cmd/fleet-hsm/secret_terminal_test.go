//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestCommandAtATerminal: a cmd: source that hangs at a real terminal, with a child that
// keeps its output open, a deaf ear for Ctrl-C, or the echo off. Ctrl-C and SIGTERM end us at
// once, no process of it is left, and whoever started us reads the next line from the
// terminal, with echo. One that asks a person there is answered.
func TestCommandAtATerminal(t *testing.T) {
	t.Parallel()
	dir := copyRepo(t, "consistent")
	for i, c := range []struct {
		name, source string
		press        string // "", "^C", or "TERM" from outside
	}{
		{"child with the pipe", "sleep MARK & sleep MARK", "^C"},
		{"child with the pipe, SIGTERM", "sleep MARK & sleep MARK", "TERM"},
		{"deaf", "trap '' INT; sleep MARK; sleep MARK", "^C"},
		{"deaf, SIGTERM", "trap '' INT TERM; sleep MARK; sleep MARK", "TERM"},
		{"no echo", "stty -echo </dev/tty; sleep MARK", "^C"},
		{"shell that has ended", "sleep MARK & exit 0", ""},
		{"asks a person", `printf 'which? ' >/dev/tty; read -r answer </dev/tty; echo "correct-horse-$answer"`, "ask"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			mark := fmt.Sprintf("41.%d%02d", os.Getpid(), i)
			source := filepath.Join(t.TempDir(), "source")
			check(t, os.WriteFile(source, []byte("#!/bin/sh\n"+strings.ReplaceAll(c.source, "MARK", mark)+"\n"), 0o755))
			cmd := exec.Command("sh", "-c", `trap : INT
				sh -c 'echo "process $$."; exec fleet-hsm --path "$0" --config "$1" timestamp' "$0" "$1"
				echo "code $?."; read -r line; echo "heard $line"`, dir, write(t, "config.yaml", fmt.Sprintf("secrets: {\"file:keys/timestamp.json\": \"cmd:%s\"}\n", source)))
			cmd.Env = append(os.Environ(), ownTerminal+"=1")
			term, err := openTerminal()
			check(t, err)
			cmd.Stdin, cmd.Stdout, cmd.Stderr = term.slave, term.slave, term.slave
			cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
			check(t, cmd.Start())
			began := time.Now()
			code := playSource(t, term, c.press, mark)
			check(t, term.step("expect code "+code+"."))
			if took := time.Since(began); took > 20*time.Second {
				t.Errorf("it took %s", took)
			}
			if out, err := exec.Command("pgrep", "-f", "^sleep "+mark).Output(); err == nil && c.press != "" {
				t.Errorf("still there: %s", out)
			}
			for _, line := range []string{"type after all", "expect after all", "expect heard after all"} {
				check(t, term.step(line))
			}
			_ = cmd.Wait()
			_ = term.close()
		})
	}
}

// playSource does what a person does while the source runs, and gives the exit code that
// the tool must end with.
func playSource(t *testing.T, term *terminal, press, mark string) (code string) {
	t.Helper()
	switch press {
	case "":
		return "5" // it gave nothing
	case "ask":
		check(t, term.step("expect which?"))
		check(t, term.step("type timestamp"))
		return "0"
	}
	check(t, await("the source to run", func() bool { return exec.Command("pgrep", "-f", "^sleep "+mark).Run() == nil }))
	if press != "TERM" {
		check(t, term.step("press-shown "+press))
		return "130"
	}
	_, rest, _ := strings.Cut(term.text(), "process ")
	number, _, _ := strings.Cut(rest, ".")
	pid, err := strconv.Atoi(number)
	check(t, err)
	check(t, syscall.Kill(pid, syscall.SIGTERM))
	return "130"
}
