package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// sighting is how a wait for a file ended.
type sighting struct {
	ended bool // the process ended first
	err   error
}

// watch tells of names that appear in a folder from now on. What is waited for lasts a
// millisecond or less, so looking now and then would miss it.
type watch struct{ fd int }

func newWatch(dir string) (*watch, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("inotify: %w", err)
	}
	w := &watch{fd}
	if _, err := unix.InotifyAddWatch(fd, dir, unix.IN_CREATE|unix.IN_MOVED_TO); err != nil {
		w.close()
		return nil, fmt.Errorf("inotify: %w", err)
	}
	return w, nil
}

func (w *watch) close() { _ = unix.Close(w.fd) }

// wait waits until path, in the folder, exists or the process ends.
func (w *watch) wait(path string, ended <-chan error) sighting {
	buf := make([]byte, 4096)
	for {
		if _, err := os.Lstat(path); err == nil {
			return sighting{}
		}
		select {
		case err := <-ended:
			return sighting{true, err}
		default:
		}
		// The time-out is for the process that ends without another event.
		if _, err := unix.Poll([]unix.PollFd{{Fd: int32(w.fd), Events: unix.POLLIN}}, 5); err != nil && !errors.Is(err, unix.EINTR) {
			return sighting{err: fmt.Errorf("inotify: %w", err)}
		}
		_, _ = unix.Read(w.fd, buf)
	}
}

// pause waits d, to the microsecond.
func pause(d time.Duration, ended <-chan error) (over bool, err error) {
	end := time.Now().Add(d)
	if d > 2*time.Millisecond {
		select {
		case err := <-ended:
			return true, err
		case <-time.After(d - time.Millisecond):
		}
	}
	for time.Now().Before(end) {
		select {
		case err := <-ended:
			return true, err
		default:
		}
	}
	return false, nil
}

// aim is a part of a command's time that kills are spread over: from when a file
// appears (the start, for "") to the end.
type aim struct {
	file string
	span time.Duration
}

// aims: the whole command is mostly spent opening keys, so two thirds of the kills are
// for what comes after.
func aims() []string { return []string{"", "pending/commit", "pending/journal"} }

// randomKill kills the command at a random moment of the n-th aim.
func (l *lab) randomKill(s *scenario, rng *rand.Rand, n int) fault {
	at := s.aims[n%len(s.aims)]
	// A little longer than measured, so that the end is reached too.
	delay := time.Duration(rng.Int64N(int64(at.span)*11/10 + 1))
	return func(dir string) (string, error) {
		ctx, cancel := context.WithTimeout(context.Background(), commandTime)
		defer cancel()
		w, err := newWatch(filepath.Join(dir, "pending"))
		if err != nil {
			return "", err
		}
		defer w.close()
		cmd := l.tool.command(ctx, dir, s.args)
		if err := cmd.Start(); err != nil {
			return "", err
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		said := fmt.Sprintf("killed %v after its start", delay)
		if at.file != "" {
			said = fmt.Sprintf("killed %v after %s appeared", delay, at.file)
			if seen := w.wait(filepath.Join(dir, at.file), ended); seen.ended || seen.err != nil {
				return "ended by itself", seen.err
			}
		}
		if over, err := pause(delay, ended); over {
			return "ended by itself", err
		}
		_ = cmd.Process.Kill()
		<-ended
		return said, nil
	}
}
