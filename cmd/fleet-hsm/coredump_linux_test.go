package main

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A tool that runs has no core limit left to dump with, and is not dumpable: a collector
// that the kernel pipes to does not ask for the limit.
func TestNoCoreDumps(t *testing.T) {
	dir := copyRepo(t, "consistent")
	held, err := holdLock(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = held.Close() }()
	cmd := exec.Command("fleet-hsm", "timestamp", "--path", dir, "--lock-timeout", "5m")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	none := regexp.MustCompile(`(?m)^Max core file size +0 +0 `)
	for start := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", cmd.Process.Pid))
		if err == nil && none.Match(limits) || os.IsPermission(err) {
			break // whoever is not dumpable is not to be read by its own user either
		}
		if time.Since(start) > 30*time.Second {
			t.Fatalf("%v\n%s", err, limits)
		}
	}
	noCoreDumps()
	defer func() { _ = unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0) }()
	if n, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0); err != nil || n != 0 {
		t.Errorf("dumpable: %d, %v", n, err)
	}
}
