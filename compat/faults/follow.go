package main

import (
	"fmt"
	"strings"
)

// step is a command on a wreck: what it may answer and where it leads.
type step struct {
	name  string
	args  []string
	codes []int
	// leads gives the worlds that may be there afterwards.
	leads func(worlds) worlds
}

func stay(ws worlds) worlds { return ws }

// settle: a command that publishes what is staged leaves one world only.
func (s *scenario) settle(f func(world) world) func(worlds) worlds {
	return func(ws worlds) worlds {
		if s.staged {
			return worlds{f(s.new)}
		}
		return ws.after(f)
	}
}

func same(w world) world { return w }

// firsts are the commands that somebody may run next, in turn.
func (s *scenario) firsts() []step {
	ok := []int{0}
	return []step{
		{"status", []string{"status"}, ok, stay},
		{"timestamp", []string{"timestamp"}, ok, stay},
		{"same add", s.same.args(), ok, s.settle(func(w world) world { return w.with(s.same) })},
		{"other add", s.other.args(), ok, s.settle(func(w world) world { return w.with(s.other) })},
		{"rotate", []string{"rotate", s.rotates()}, ok, s.settle(same)},
		{"discard", []string{"discard"}, ok, stay},
	}
}

// rotates: the same role again shows whether the new key is there.
func (s *scenario) rotates() string {
	if s.role != "" {
		return s.role
	}
	return "root"
}

// second uses what the broken command may have changed: its key, or the staged
// change. discarded: the first command was discard.
func (s *scenario) second(discarded bool) step {
	ok := []int{0}
	switch {
	case s.staged && discarded:
		// Nothing is left to commit, or the wreck was a commit that was finished.
		return step{"commit", []string{"commit"}, []int{1}, stay}
	case s.staged:
		// Finished already: nothing is staged then, and the new world must be there.
		return step{"commit", []string{"commit"}, []int{0, 1}, func(ws worlds) worlds {
			if len(ws) == 1 {
				return ws
			}
			return worlds{s.new}
		}}
	case s.role == "root":
		return step{"rotate root", []string{"rotate", "root"}, ok, stay}
	case s.role == "targets" || s.role == "snapshot":
		return step{"other add", s.other.args(), ok, func(ws worlds) worlds {
			return ws.after(func(w world) world { return w.with(s.other) })
		}}
	}
	return step{"timestamp", []string{"timestamp"}, ok, stay}
}

// take runs a step on a wreck and gives what is wrong, "" if nothing is.
func (t tool) take(dir string, st step) (string, error) {
	res, err := t.run(dir, st.args...)
	if err != nil {
		return "", err
	}
	for _, c := range st.codes {
		if res.code == c {
			return "", nil
		}
	}
	return fmt.Sprintf("%q exits %d: %s", st.name, res.code, oneLine(res.stderr)), nil
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
