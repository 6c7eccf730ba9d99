package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"
)

// sighting is how a wait for a file ended.
type sighting struct {
	ended bool // the process ended first
	err   error
}

// waitFor waits until path exists or the process ends. It looks all the time: what it
// waits for lasts milliseconds.
func waitFor(path string, ended <-chan error) sighting {
	for {
		select {
		case err := <-ended:
			return sighting{true, err}
		default:
		}
		if _, err := os.Lstat(path); err == nil {
			return sighting{}
		}
		time.Sleep(20 * time.Microsecond)
	}
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
		cmd := l.tool.command(ctx, dir, s.args)
		if err := cmd.Start(); err != nil {
			return "", err
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		said := fmt.Sprintf("killed %v after its start", delay)
		if at.file != "" {
			said = fmt.Sprintf("killed %v after %s appeared", delay, at.file)
			if seen := waitFor(filepath.Join(dir, at.file), ended); seen.ended {
				return "ended by itself", seen.err
			}
		}
		select {
		case err := <-ended:
			return "ended by itself", err
		case <-time.After(delay):
		}
		_ = cmd.Process.Kill()
		<-ended
		return said, nil
	}
}
