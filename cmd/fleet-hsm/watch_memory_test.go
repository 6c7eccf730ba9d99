//go:build cgo && linux

package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestWatchMemory: a watch of ten addresses with content, as a process. What it holds for
// itself (the program's own pages, which other processes share, do not count) is small at its
// highest, and does not grow with the polls; garbage is collected early, whatever else in the
// process had a say in that. docs/performance.md has the figure of the whole process.
func TestWatchMemory(t *testing.T) {
	t.Parallel()
	repo := copyRepo(t, "consistent")
	content := write(t, "orbit", string(binaryHeader("linux"))+strings.Repeat("orbit", 1<<19))
	must(t, "add", "--path", repo, "--target", content, "--name", "orbit", "--platform", "linux", "--version", "1", "-t", "stable")
	from := filepath.Join(repo, "repository")
	root, err := os.ReadFile(filepath.Join(from, "1.root.json"))
	check(t, err)
	dir := t.TempDir()
	check(t, os.WriteFile(filepath.Join(dir, "root.json"), root, 0o600))
	port, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	address := port.Addr().String()
	check(t, port.Close())
	args := []string{"watch", "--root", "root.json", "--state", "state", "--interval", "20ms", "--content", "1ms", "--listen", address, "--json"}
	for i := range 10 {
		check(t, os.Symlink(from, filepath.Join(dir, fmt.Sprint("m", i))))
		args = append(args, fmt.Sprint("m", i))
	}
	cmd := exec.Command("fleet-hsm", args...)
	cmd.Dir, cmd.Stderr, cmd.Env = dir, os.Stderr, append(os.Environ(), "GOGC=")
	out, err := cmd.StdoutPipe()
	check(t, err)
	check(t, cmd.Start())
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	lines := bufio.NewScanner(out)
	for lines.Scan() && !strings.Contains(lines.Text(), `"timestamp"`) {
	}
	own := func(of string) int {
		return kilobytes(t, cmd.Process.Pid, of) - kilobytes(t, cmd.Process.Pid, "RssFile")
	}
	time.Sleep(time.Second)
	early := own("VmRSS")
	time.Sleep(3 * time.Second)
	late, peak := own("VmRSS"), own("VmHWM")
	t.Logf("%d kB early, %d kB late, %d kB at the highest", early, late, peak)
	if peak > 11<<10 {
		t.Errorf("it held %d kB at its highest, above the program's own pages", peak)
	}
	if late > early+4<<10 {
		t.Errorf("it held %d kB, and %d kB after some hundred polls", early, late)
	}
	metrics, err := fetch("http://" + address + "/metrics")
	check(t, err)
	if !strings.Contains(string(metrics), "\ngo_gc_gogc_percent 20\n") {
		t.Error("garbage is not collected early")
	}
}

// kilobytes reads a line of a process's status.
func kilobytes(t *testing.T, pid int, name string) int {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	check(t, err)
	m := regexp.MustCompile(`(?m)^` + name + `:\s+(\d+) kB$`).FindStringSubmatch(string(data))
	if m == nil {
		t.Fatalf("no %s in the status of process %d", name, pid)
	}
	n, err := strconv.Atoi(m[1])
	check(t, err)
	return n
}
