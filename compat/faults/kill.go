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
		time.Sleep(50 * time.Microsecond)
	}
}

// randomKill kills the command at a random moment: of its whole time, or, late, of
// the time after pending/commit appeared.
func (l *lab) randomKill(s *scenario, rng *rand.Rand, late bool) fault {
	span := s.takes
	if late {
		span = s.tail
	}
	// A little longer than measured, so that the end is reached too.
	delay := time.Duration(rng.Int64N(int64(span)*11/10 + 1))
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
		if late {
			said = fmt.Sprintf("killed %v after pending/commit appeared", delay)
			if seen := waitFor(filepath.Join(dir, "pending", "commit"), ended); seen.ended {
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
