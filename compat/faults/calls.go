package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// hit is a system call that was met.
type hit struct {
	call  string
	paths []string
}

func (h hit) String() string { return h.call + " " + strings.Join(h.paths, " -> ") }

// below reports whether the call concerns a file below dir.
func (h hit) below(dir string) bool {
	for _, p := range h.paths {
		if p == dir || strings.HasPrefix(p, dir+"/") {
			return true
		}
	}
	return false
}

// act is what happens to a call: nothing, a kill in front of it, or an error from it.
type act struct {
	kill  bool
	errno syscall.Errno // 0: none
}

// traced runs the scenario's command under the tracer. stderr is what it said.
func (l *lab) traced(s *scenario, dir string, decide func(hit) act) (code int, stderr string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), commandTime)
	defer cancel()
	cmd := l.tool.command(ctx, dir, s.args)
	// A file, not a pipe: nobody has to read while the tracer works.
	out, err := os.CreateTemp(filepath.Dir(dir), "stderr-")
	if err != nil {
		return 0, "", err
	}
	defer out.Close()
	cmd.Stderr = out
	if code, err = trace(cmd, decide); err != nil {
		return code, "", err
	}
	said, err := os.ReadFile(out.Name())
	return code, string(said), err
}

// listCalls gives the watched calls of an undisturbed run, from the first that
// concerns the repository's folder: before that nothing can go wrong.
func (l *lab) listCalls(s *scenario, scratch string) ([]hit, error) {
	dir := filepath.Join(scratch, "repo")
	if err := os.Mkdir(scratch, 0o755); err != nil {
		return nil, err
	}
	if err := copyTree(s.base, dir); err != nil {
		return nil, err
	}
	var hits []hit
	code, said, err := l.traced(s, dir, func(h hit) act {
		if len(hits) > 0 || h.below(dir) {
			hits = append(hits, h)
		}
		return act{}
	})
	if err == nil && code != 0 {
		err = fmt.Errorf("%s under the tracer: exit %d: %s", s, code, said)
	}
	return hits, errors.Join(err, os.RemoveAll(scratch))
}

// killAt kills in front of the n-th call, counted from the first on the folder.
func (l *lab) killAt(s *scenario, n int) fault {
	return func(dir string) (string, error) {
		seen, met := 0, "ended by itself"
		code, said, err := l.traced(s, dir, func(h hit) act {
			if seen == 0 && !h.below(dir) {
				return act{}
			}
			if seen++; seen != n {
				return act{}
			}
			met = fmt.Sprintf("killed in front of call %d, %s", n, h)
			return act{kill: true}
		})
		if err == nil && code > 0 {
			err = fmt.Errorf("exit %d: %s", code, said)
		}
		return met, err
	}
}

// calls is the class "call": every call in the long form; every rename and every n-th
// of the others in the short one.
func (c *campaign) calls(all []*scenario) error {
	rng := rand.New(rand.NewPCG(c.opts.seed, 2))
	var jobs []job
	for _, s := range c.selected(all) {
		hits, err := c.lab.listCalls(s, c.scratchDir())
		if err != nil {
			return err
		}
		offset := rng.IntN(c.opts.stride)
		for i, h := range hits {
			if (i+offset)%c.opts.stride == 0 || h.call == "rename" && c.opts.stride > 1 {
				jobs = append(jobs, job{"call", s, c.lab.killAt(s, i+1)})
			}
		}
		c.report.note("%s makes %d watched system calls on files", s, len(hits))
	}
	return c.each(len(jobs), func(i int) error { return c.wreck("call", jobs[i].s, i, jobs[i].f) })
}

// selected leaves out the roles that behave as targets does, and in the short form a
// layout of some commands.
func (c *campaign) selected(all []*scenario) []*scenario {
	return slices.DeleteFunc(slices.Clone(all), func(s *scenario) bool {
		switch s.name {
		case "rotate snapshot", "rotate timestamp":
			return true
		case "add":
			return false
		case "stage":
			return !s.consistent
		case unstamped, archivedRotation, "prune", "undo": // those two rename what archive renames
			return !c.opts.long
		case "commit": // renames what add renames
			return !c.opts.long
		}
		return !s.consistent && !c.opts.long
	})
}

// failing are the calls that give errors, and which.
func failing(e syscall.Errno, call string) bool {
	switch call {
	case "open", "write", "rename", "link", "mkdir":
		return true
	case "fsync", "unlink", "chmod", "copy_file_range":
		return e == syscall.EIO
	}
	return false
}

// errorAt lets the n-th call that can fail, below the folder, give e.
func (l *lab) errorAt(s *scenario, n int, e syscall.Errno, book func(h hit, code int, said string) error) fault {
	return func(dir string) (string, error) {
		seen := 0
		var met hit
		code, said, err := l.traced(s, dir, func(h hit) act {
			if !h.below(dir) || !failing(e, h.call) {
				return act{}
			}
			if seen++; seen != n {
				return act{}
			}
			met = h
			return act{errno: e}
		})
		if err != nil {
			return "", err
		}
		said = strings.ReplaceAll(said, dir, "DIR")
		for i := range met.paths {
			met.paths[i] = strings.ReplaceAll(met.paths[i], dir, "DIR")
		}
		return fmt.Sprintf("%v from %s", e, met), book(met, code, said)
	}
}

// errors is the class "error".
func (c *campaign) errors(all []*scenario) error {
	rng := rand.New(rand.NewPCG(c.opts.seed, 3))
	for turn, e := range []syscall.Errno{syscall.EIO, syscall.ENOSPC} {
		class := map[syscall.Errno]string{syscall.EIO: "EIO", syscall.ENOSPC: "ENOSPC"}[e]
		var jobs []job
		for i, s := range c.selected(all) {
			switch {
			case !c.opts.long && i%2 != turn:
				continue // each scenario meets one of the two errors
			case c.opts.long && s.consistent == (s.name == "rotate targets") && s.name != "add":
				continue // one layout of each; the errors are the same ones
			}
			hits, err := c.lab.listCalls(s, c.scratchDir())
			if err != nil {
				return err
			}
			n, offset := 0, rng.IntN(c.opts.errorStride)
			for _, h := range hits {
				if !below(h, c.lab.work) || !failing(e, h.call) {
					continue
				}
				if n++; (n+offset)%c.opts.errorStride == 0 {
					jobs = append(jobs, job{class, s, c.lab.errorAt(s, n, e, c.bookError(class, s))})
				}
			}
		}
		if err := c.each(len(jobs), func(i int) error { return c.wreck(class, jobs[i].s, i, jobs[i].f) }); err != nil {
			return err
		}
	}
	return nil
}

// below: in a listed run the folder was another one; any repository will do.
func below(h hit, work string) bool {
	for _, p := range h.paths {
		if strings.HasPrefix(p, work) && strings.Contains(p, "/repo") {
			return true
		}
	}
	return false
}

// bookError demands that an error is told as it should be: exit 1, and the file named.
// Exit 0 is right where the command can do without the call.
func (c *campaign) bookError(class string, s *scenario) func(h hit, code int, said string) error {
	return func(h hit, code int, said string) error {
		c.report.told(class, h, code, said)
		switch {
		case code == 0:
		case code != 1:
			c.report.fail("%s: %s: exit %d after %s: %s", class, s, code, h, oneLine(said))
		case len(h.paths) > 0 && !namesFile(said, h.paths):
			c.report.fail("%s: %s: the error after %s names no file: %s", class, s, h, oneLine(said))
		}
		return nil
	}
}

// namesFile: the file itself, or for our own work files the folder or the file that it
// was to become.
func namesFile(said string, paths []string) bool {
	for _, p := range paths {
		if strings.Contains(said, filepath.Base(p)) || strings.Contains(said, filepath.Base(filepath.Dir(p))) ||
			strings.Contains(said, "repository/") {
			return true
		}
	}
	return false
}
