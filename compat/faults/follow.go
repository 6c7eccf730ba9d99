package main

import (
	"encoding/json"
	"fmt"
	"slices"
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
	if s.name == "archive" || s.name == "undo" {
		return step{s.name, s.args, []int{0, 1}, stay} // finished already: nothing is left to move
	}
	return step{"timestamp", []string{"timestamp"}, ok, stay}
}

// take runs a step on a wreck and gives what is wrong, "" if nothing is. What is staged and
// not signed is taken along by who has reviewed it: then the hint is followed.
func (t tool) take(dir string, st step) (string, error) {
	res, err := t.run(dir, append(st.args, "--json")...)
	if err != nil {
		return "", err
	}
	if refusedAs(res, "not-reviewed") {
		reviewed, err := t.reviewed(dir)
		if err != nil {
			return "", err
		}
		if res, err = t.run(dir, append(st.args, reviewed...)...); err != nil {
			return "", err
		}
	}
	if slices.Contains(st.codes, res.code) {
		return "", nil
	}
	return fmt.Sprintf("%q exits %d: %s", st.name, res.code, oneLine(res.stderr)), nil
}

// refusedAs reports whether a result with --json is a refusal of this kind.
func refusedAs(res result, kind string) bool {
	var e struct{ Error struct{ Kind string } }
	return res.code != 0 && json.Unmarshal([]byte(res.stderr), &e) == nil && e.Error.Kind == kind
}

// reviewed are the flags that say of each role of the staged change that it was seen.
func (t tool) reviewed(dir string) ([]string, error) {
	res, err := t.must(dir, "review", "--json")
	if err != nil {
		return nil, err
	}
	var review struct{ Roles []struct{ SHA256 string } }
	if err := json.Unmarshal([]byte(res.out), &review); err != nil {
		return nil, err
	}
	var flags []string
	for _, r := range review.Roles {
		flags = append(flags, "--reviewed", r.SHA256)
	}
	return flags, nil
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
