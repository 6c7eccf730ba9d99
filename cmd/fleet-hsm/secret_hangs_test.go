//go:build cgo && linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/softhsm"
)

// SIGTERM ends the tool while a command hangs, and the command with it; the person is
// told what is waited for.
func TestHangingCommandIsEnded(t *testing.T) {
	tok := softhsm.New(t)
	mark := fmt.Sprintf("31.%d", os.Getpid())
	cmd := exec.Command("fleet-hsm", "key", "generate", tok.URI("new"), "--path", t.TempDir(), "--pkcs11-module", tok.Module,
		"--pin-source", "cmd:sleep "+mark+" & sleep "+mark)
	var errOut bytes.Buffer
	cmd.Stderr = &errOut
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(4 * time.Second)
	start := time.Now()
	_ = cmd.Process.Signal(syscall.SIGTERM)
	_ = cmd.Wait()
	if took := time.Since(start); took > 5*time.Second || cmd.ProcessState.ExitCode() != exitInterrupted {
		t.Errorf("after %s: exit %d\n%s", took, cmd.ProcessState.ExitCode(), &errOut)
	}
	if !strings.Contains(errOut.String(), "still waiting for the secret source") {
		t.Errorf("nobody is told what is waited for:\n%s", &errOut)
	}
	if out, err := exec.Command("pgrep", "-f", "^sleep "+mark).Output(); err == nil {
		t.Errorf("still there: %s", out)
	}
}
