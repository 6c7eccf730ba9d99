//go:build cgo && linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// TestLargeInstaller: 100 MB of components that do not compress are packaged in 256 MB of
// memory, and dpkg and rpm find every digest right. The time stands in the log.
func TestLargeInstaller(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "updates")
	from, err := template("consistent")
	if err != nil {
		t.Fatal(err)
	}
	if err := copyTree(from, dir); err != nil {
		t.Fatal(err)
	}
	random := rand.NewChaCha8([32]byte{1})
	for _, name := range []string{"orbit", "osqueryd"} {
		content := make([]byte, 50<<20)
		_, _ = random.Read(content) // it has no end
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, content, 0o755); err != nil {
			t.Fatal(err)
		}
		must(t, "add", "--path", dir, "--target", file, "--name", name, "--platform", "linux", "--version", "1.0.0", "--no-lint", "all")
	}
	for kind, check := range map[string][]string{
		"deb":         {"bash", "-c", `dpkg-deb -x "$0" root && cd root && dpkg-deb --ctrl-tarfile "$0" | tar xO ./md5sums | md5sum -c --quiet -`},
		"rpm":         {"rpm", "-K", "--nosignature"},
		"pkg.tar.zst": {"zstd", "-t", "-q"},
	} {
		out := filepath.Join(t.TempDir(), "agent."+kind)
		cmd := exec.Command("fleet-hsm", "package", "--path", dir, "--type", kind, "--update-url", "https://updates.example.com", "--offline",
			"--orbit-channel", "1.0.0", "--osqueryd-channel", "1.0.0", "--outfile", out)
		var errOut bytes.Buffer
		cmd.Stderr = &errOut
		began := time.Now()
		used, err := runWeighed(cmd)
		if err != nil {
			t.Fatalf("%s: %v\n%s", kind, err, &errOut)
		}
		t.Logf("%s: %s, %s of processor, %d MB", kind, time.Since(began).Round(10*time.Millisecond), cmd.ProcessState.UserTime().Round(10*time.Millisecond), used)
		if used >= 256 {
			t.Errorf("%s: %d MB of memory", kind, used)
		}
		judge := exec.Command(check[0], append(check[1:], out)...)
		judge.Dir = t.TempDir()
		if said, err := judge.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", kind, err, said)
		}
	}
}

var peak = later(`(?m)^VmHWM:\s+(\d+) kB$`)

// runWeighed runs a program and gives the most memory, in MB, that it had. What the kernel
// tells of an ended child does not do: it begins with the memory of the process that the
// child was forked from.
func runWeighed(cmd *exec.Cmd) (int, error) {
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	most := 0
	for {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
		if m := peak().FindSubmatch(status); err == nil && m != nil {
			kb, _ := strconv.Atoi(string(m[1])) // digits alone
			most = max(most, kb>>10)
		}
		select {
		case err := <-ended:
			if err == nil && most == 0 {
				err = errors.New("its memory was never seen")
			}
			return most, err
		case <-time.After(5 * time.Millisecond):
		}
	}
}
