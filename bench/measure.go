package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// sample is one run of a program.
type sample struct {
	wall    time.Duration
	cpu     time.Duration // user and system
	written int64         // bytes
	read    int64         // bytes that system calls read
	peak    int64         // bytes
}

// command describes a program to run.
type command struct {
	path string
	args []string
	env  []string
}

// measure flushes dirty pages and runs a program to its end; another exit code than 0
// is an error with its stderr.
func measure(c command) (sample, error) {
	unix.Sync()
	cmd := exec.Command(c.path, c.args...)
	cmd.Env = append(os.Environ(), c.env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return sample{}, err
	}
	// The counters can be read between the end of the process and its reaping only.
	waitErr := awaitExit(cmd.Process.Pid)
	s := sample{wall: time.Since(start)}
	var ioErr error
	s.written, s.read, ioErr = counters(cmd.Process.Pid)
	if err := cmd.Wait(); err != nil {
		return s, fmt.Errorf("%s %s: %w: %s", c.path, strings.Join(c.args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	if err := errors.Join(waitErr, ioErr); err != nil {
		return s, err
	}
	usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return s, errors.New("no resource usage on this system")
	}
	s.peak = usage.Maxrss << 10
	s.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return s, nil
}

// awaitExit waits for the end of a child and leaves it to be reaped.
func awaitExit(pid int) error {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// counters gives the bytes a process wrote, through system calls or by dirtying pages,
// and those that system calls read.
func counters(pid int) (written, read int64, err error) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid))
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(content)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return 0, 0, fmt.Errorf("reading %q: %w", line, err)
		}
		switch name {
		case "wchar", "write_bytes":
			written = max(written, n)
		case "rchar":
			read = n
		}
	}
	return written, read, nil
}

// output runs a program and gives what it prints.
func output(c command) (string, error) {
	cmd := exec.Command(c.path, c.args...)
	cmd.Env = append(os.Environ(), c.env...)
	out, err := cmd.Output()
	return string(out), err
}
