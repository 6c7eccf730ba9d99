//go:build linux

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// Names that cannot stand in a target path: exit 2, the value is quoted, and nothing
// is written, not even a lock.
func TestNamesRefused(t *testing.T) {
	t.Parallel()
	dir := copyRepo(t, "consistent")
	file := write(t, "orbit", "orbit")
	bad := []struct{ why, value string }{
		{"empty element", "a//b"}, {"parent", ".."}, {"path", "a/b"}, {"above", "../a"}, {"absolute", "/a"},
		{"backslash", `a\b`}, {"newline", "a\nb"}, {"escape", "a\x1b[2Jb"}, {"delete", "a\x7fb"},
		{"not UTF-8", "a\xff"}, {"overlong", strings.Repeat("a", 256)}, {"dot", "."}, {"blank", " a"},
		{"right-to-left", "a\u202eb"}, {"query", "a?b"}, {"fragment", "a#b"}, {"percent", "a%2e"}, {"ampersand", "a&b"},
	}
	before, err := treeOf(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range bad {
		for _, flag := range []string{"name", "platform", "version", "tag"} {
			values := map[string]string{"name": "orbit", "platform": "linux", "version": "1", "tag": "edge"}
			values[flag] = b.value
			args := []string{"add", "--path", dir, "--target", file, "--allow-unknown-platform"}
			for name, v := range values {
				args = append(args, "--"+name, v)
			}
			r := hsm(t, nil, args...)
			if r.code != exitUsage {
				t.Errorf("%s %q (%s): exit %d\n%s", flag, b.value, b.why, r.code, r.stderr)
			}
			if strings.ContainsAny(r.stderr, "\x1b\u202e\x7f") || strings.Count(r.stderr, "\n") > 2 {
				t.Errorf("%s (%s): the error shows the characters themselves: %q", flag, b.why, r.stderr)
			}
		}
	}
	after, err := treeOf(dir)
	if err != nil {
		t.Fatal(err)
	}
	if before != after {
		t.Errorf("something was written:\n%s", difference(before, after))
	}
}

// The last element is at most 126 bytes: with the hash before it, it just fits.
func TestLongestLastElement(t *testing.T) {
	t.Parallel()
	dir := copyRepo(t, "consistent")
	file := write(t, "orbit.app.tar.gz", "orbit")
	longest := strings.Repeat("n", 126-len(".app.tar.gz"))
	add := func(name string) result {
		return hsm(t, nil, "add", "--path", dir, "--target", file, "--name", name, "--platform", "macos", "--version", "1")
	}
	if r := add(longest + "n"); r.code != exitUsage || !strings.Contains(r.stderr, "127 bytes; at most 126") {
		t.Errorf("127 bytes: exit %d\n%s", r.code, r.stderr)
	}
	if r := add(longest); r.code != exitOK {
		t.Errorf("126 bytes: exit %d\n%s", r.code, r.stderr)
	}
	if _, errOut, err := follow(dir, t.TempDir()); err != nil {
		t.Errorf("the agent refuses: %v\n%s", err, errOut)
	}
}

// Ctrl-C or a stop of the service while another command holds the lock.
func TestInterruptedWhileWaiting(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			dir := copyRepo(t, "consistent")
			held, err := holdLock(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = held.Close() }()
			cmd := exec.Command("fleet-hsm", "timestamp", "--path", dir, "--lock-timeout", "1h")
			cmd.Env = append(os.Environ(), secretEnv()...)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			lock, err := filepath.EvalSymlinks(filepath.Join(dir, "pending", "lock"))
			if err != nil {
				t.Fatal(err)
			}
			err = await("the command to open the lock", func() bool { return hasOpen(cmd.Process.Pid, lock) })
			if err == nil {
				err = cmd.Process.Signal(sig)
			}
			if err != nil {
				_ = cmd.Process.Kill()
				t.Error(err)
			}
			_ = cmd.Wait()
			if code := cmd.ProcessState.ExitCode(); code != exitInterrupted {
				t.Errorf("exit %d, not %d", code, exitInterrupted)
			}
		})
	}
}

// Ctrl-C in the middle of a large copy: nothing of it stays.
func TestInterruptedWhileCopying(t *testing.T) {
	t.Parallel()
	dir := copyRepo(t, "consistent")
	big := filepath.Join(t.TempDir(), "big")
	if err := os.WriteFile(big, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	// A file of holes: quick to make, and slow enough to copy.
	if err := os.Truncate(big, 4<<30); err != nil {
		t.Fatal(err)
	}
	before, err := treeOf(dir)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("fleet-hsm", "add", "--path", dir, "--target", big, "--name", "orbit", "--platform", "linux", "--version", "1")
	cmd.Env = append(os.Environ(), secretEnv()...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	err = await("the copy to begin", func() bool {
		entries, err := os.ReadDir(filepath.Join(dir, "pending", "content"))
		return err == nil && len(entries) > 0
	})
	if err == nil {
		err = cmd.Process.Signal(syscall.SIGINT)
	}
	if err != nil {
		_ = cmd.Process.Kill()
		t.Error(err)
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != exitInterrupted {
		t.Errorf("exit %d, not %d", code, exitInterrupted)
	}
	if after, err := treeOf(dir); err != nil || after != before {
		t.Errorf("something stayed (%v):\n%s", err, difference(before, after))
	}
}

func hasOpen(pid int, file string) bool {
	fds, err := filepath.Glob(filepath.Join("/proc", strconv.Itoa(pid), "fd", "*"))
	if err != nil {
		return false
	}
	for _, fd := range fds {
		if to, err := os.Readlink(fd); err == nil && to == file {
			return true
		}
	}
	return false
}
