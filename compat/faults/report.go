package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
)

// tally counts the wrecks of one class and scenario.
type tally struct {
	wrecks, old, between, fresh       int // how far the command had come
	journal                           int
	runningFails, coldFails, windowed int // before any command
	violations                        int
}

// report collects everything that is printed.
type report struct {
	mu         sync.Mutex
	tallies    map[string]map[string]*tally // class, scenario
	order      []string
	violations []string
	notes      []string
	done       int
	// errors counts what was said after injected errors, by a text without numbers.
	errors  map[string]int
	verbose bool
}

func newReport() *report {
	return &report{tallies: map[string]map[string]*tally{}, errors: map[string]int{}}
}

var changing = regexp.MustCompile(`[0-9a-f]{16,}|\d+`)

// told books what a command said after an injected error.
func (r *report) told(class string, h hit, code int, said string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	line := ""
	for l := range strings.Lines(said) {
		if strings.HasPrefix(l, "fleet-hsm: ") {
			line = strings.TrimSpace(l)
		}
	}
	if code == 0 {
		line = "goes on without " + h.String()
	}
	r.errors[changing.ReplaceAllString(fmt.Sprintf("exit %d %s", code, line), "N")]++
}

func (r *report) book(class string, s *scenario, v verdict, dir string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.tallies[class] == nil {
		r.tallies[class] = map[string]*tally{}
		r.order = append(r.order, class)
	}
	t := r.tallies[class][s.String()]
	if t == nil {
		t = &tally{}
		r.tallies[class][s.String()] = t
	}
	t.count(v)
	if v.violation != "" {
		r.violate(fmt.Sprintf("%s: %s (%s)", class, v.violation, dir))
	}
	if r.done++; r.done%50 == 0 {
		fmt.Fprintf(os.Stderr, "%s: %d wrecks judged, %d violations\n", class, r.done, len(r.violations))
	}
}

func (t *tally) count(v verdict) {
	t.wrecks++
	switch v.published {
	case "old":
		t.old++
	case "new":
		t.fresh++
	default:
		t.between++
	}
	for _, c := range []struct {
		n    *int
		when bool
	}{
		{&t.journal, v.journal}, {&t.windowed, v.window},
		{&t.runningFails, v.running != ""}, {&t.coldFails, v.cold != ""}, {&t.violations, v.violation != ""},
	} {
		if c.when {
			*c.n++
		}
	}
}

// violate notes a demand that was not met; the lock is held.
func (r *report) violate(text string) {
	r.violations = append(r.violations, text)
	fmt.Fprintln(os.Stderr, "VIOLATION", text)
}

// fail is violate for those who do not hold the lock.
func (r *report) fail(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.violate(fmt.Sprintf(format, args...))
}

// note adds a line to what is printed under the tables.
func (r *report) note(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.notes = append(r.notes, fmt.Sprintf(format, args...))
}

// notef adds a whole table to the notes.
func (r *report) notef(write func(io.Writer)) {
	var b strings.Builder
	write(&b)
	r.note("%s", b.String())
}

func (r *report) print(out io.Writer) {
	for _, class := range r.order {
		fmt.Fprintf(out, "\n%s\n", titles[class])
		r.printClass(out, r.tallies[class])
	}
	if len(r.notes) > 0 {
		fmt.Fprintln(out)
	}
	for _, n := range r.notes {
		fmt.Fprintln(out, n)
	}
	if r.verbose {
		for _, text := range slices.Sorted(maps.Keys(r.errors)) {
			fmt.Fprintf(out, "%4d  %s\n", r.errors[text], text)
		}
	}
	fmt.Fprintf(out, "\n%d wrecks, %d violations\n", r.done, len(r.violations))
	for _, v := range r.violations {
		fmt.Fprintln(out, "VIOLATION", v)
	}
}

var titles = map[string]string{
	"kill":   "SIGKILL at random moments",
	"call":   "SIGKILL in front of system calls",
	"EIO":    "EIO from system calls",
	"ENOSPC": "ENOSPC from system calls",
	"disk":   "a disk that is full",
}

func (r *report) printClass(out io.Writer, rows map[string]*tally) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "command, layout\twrecks\told\tbetween\tnew\tjournal\tclients fail at once: running\tcold\tin the window\tviolations\t")
	var sum tally
	line := func(name string, t *tally) {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t\n", name, t.wrecks, t.old, t.between, t.fresh,
			t.journal, t.runningFails, t.coldFails, t.windowed, t.violations)
	}
	for _, name := range slices.SortedFunc(maps.Keys(rows), cmp.Compare[string]) {
		t := rows[name]
		line(name, t)
		sum.add(t)
	}
	line("all", &sum)
	w.Flush()
}

func (t *tally) add(o *tally) {
	t.wrecks += o.wrecks
	t.old += o.old
	t.between += o.between
	t.fresh += o.fresh
	t.journal += o.journal
	t.runningFails += o.runningFails
	t.coldFails += o.coldFails
	t.windowed += o.windowed
	t.violations += o.violations
}
