package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// askedToSign starts a command at a terminal and waits until it asks. answer types yes and
// gives the exit code and stderr.
func askedToSign(t *testing.T, args ...string) (answer func() (int, string)) {
	t.Helper()
	term, err := openTerminal()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("fleet-hsm", args...)
	cmd.Env = append(os.Environ(), secretEnv()...)
	var errOut bytes.Buffer
	cmd.Stderr = &errOut
	cmd.ExtraFiles = []*os.File{term.slave}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 3}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	fail := func(err error) {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		t.Fatalf("%v\n%s", err, term.close())
	}
	if err := term.expect("Sign this? Type yes"); err != nil {
		fail(err)
	}
	return func() (int, string) {
		t.Helper()
		if err := term.step("type yes"); err != nil {
			fail(err)
		}
		_ = cmd.Wait()
		term.close()
		return cmd.ProcessState.ExitCode(), errOut.String()
	}
}

// TestNobodyWaitsForAPerson: while sign asks, the timestamp from cron goes on at
// once, and the signature is merged afterwards.
func TestNobodyWaitsForAPerson(t *testing.T) {
	t.Parallel()
	dir := copyRepo(t, "consistent")
	must(t, "rotate", "timestamp", "--path", dir, "--stage-only")
	answer := askedToSign(t, "sign", "--path", dir)
	must(t, "timestamp", "--path", dir, "--lock-timeout", "0s")
	if code, text := answer(); code != 0 {
		t.Fatalf("sign: exit %d\n%s", code, text)
	}
	must(t, "commit", "--path", dir)
	if _, stderr, err := follow(dir, filepath.Join(t.TempDir(), "agent")); err != nil {
		t.Errorf("the agent refuses: %v\n%s", err, stderr)
	}
}

// TestStagedChangedMeanwhile: a signature over bytes that are no longer staged is not
// kept, and says why.
func TestStagedChangedMeanwhile(t *testing.T) {
	t.Parallel()
	dir := copyRepo(t, "consistent")
	must(t, "rotate", "timestamp", "--path", dir, "--stage-only")
	answer := askedToSign(t, "sign", "--path", dir)
	must(t, "rotate", "snapshot", "--path", dir, "--stage-only")
	before, err := treeOf(dir)
	if err != nil {
		t.Fatal(err)
	}
	code, text := answer()
	if code != exitRefused || !strings.Contains(text, "the signature was not kept, because the staged change is another one now") {
		t.Errorf("sign: exit %d\n%s", code, text)
	}
	if after, err := treeOf(dir); err != nil || after != before {
		t.Errorf("something was written: %v\n%s", err, difference(before, after))
	}
}
