package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	many    = 10_000
	bigFile = 100_000_000
	hugeMB  = 1000
)

// row is one line of the table. A side that did not run is empty.
type row struct {
	name       string
	peer, ours side
}

// goal is one figure that has to be reached.
type goal struct {
	what, measured string
	met            bool
}

// bench holds the run: its options, a folder to work in, and what was measured.
type bench struct {
	options
	dir   string
	rows  []row
	goals []goal
	notes []string
	table []string // lines of a table of another form
	// self is this program; bigPeak the memory that a file of 100 MB took.
	self    string
	bigPeak int64
	n       int // numbers folders and versions
}

func newBench(o options, dir, self string) *bench { return &bench{options: o, dir: dir, self: self} }

// pairs is how often a case runs; slow says that it takes seconds.
func (b *bench) pairs(slow bool) int {
	switch {
	case b.quick && slow:
		return 2
	case b.quick:
		return 3
	case slow:
		return 5
	}
	return 11
}

// step is a case by its name.
type step struct {
	name string
	run  func() error
}

// sets are what -set may name.
func (b *bench) sets() map[string][]step {
	return map[string][]step{
		"core": {
			{"init", b.initCase}, {"add of a big file", b.bigCase}, {"a huge file", b.hugeCase},
			{"add of a small file", b.smallCases}, {"timestamp", b.timestampCases}, {"a KMS", b.kmsCase},
			{"rotate", b.rotateCases}, {"start-up", b.startCases},
		},
		"daily":   {{"promote", b.promoteCase}, {"verify", b.verifyCase}},
		"package": {{"package", b.packageCase}},
		"agents":  {{"agents", b.agentsCase}},
	}
}

func (b *bench) all() error {
	steps, ok := b.sets()[b.set]
	if !ok {
		return fmt.Errorf("-set %q is not core, daily, package or agents", b.set)
	}
	for _, step := range steps {
		start := time.Now()
		if err := step.run(); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
		fmt.Fprintf(os.Stderr, "bench: %s: %.0f s\n", step.name, time.Since(start).Seconds())
	}
	return nil
}

// passphrases for the key files; they protect nothing here.
func passphrases() []string {
	var env []string
	for _, role := range []string{"ROOT", "TARGETS", "SNAPSHOT", "TIMESTAMP"} {
		env = append(env, "FLEET_"+role+"_PASSPHRASE=benchmark")
	}
	return env
}

func (b *bench) onPeer(dir string, args ...string) command {
	return command{b.peer, append([]string{"--path", dir}, args...), passphrases()}
}

func (b *bench) onOurs(dir string, args ...string) command {
	return command{b.ours, append([]string{"--path", dir, "--no-input"}, args...), passphrases()}
}

// folder names a new, empty folder.
func (b *bench) folder() (string, error) {
	b.n++
	dir := filepath.Join(b.dir, fmt.Sprintf("%04d", b.n))
	return dir, os.Mkdir(dir, 0o755)
}

// generated makes a flat fleetctl directory with n targets, for either side.
func (b *bench) generated(n int) (string, error) {
	dir, err := b.folder()
	if err != nil {
		return "", err
	}
	_, err = measure(b.onPeer(dir, "gen", "--targets", fmt.Sprint(n)))
	return dir, err
}

// clone copies a folder as it is.
func (b *bench) clone(from string) (string, error) {
	dir, err := b.folder()
	if err != nil {
		return "", err
	}
	if out, err := exec.Command("cp", "-a", from+"/.", dir).CombinedOutput(); err != nil {
		return "", fmt.Errorf("copying: %w: %s", err, out)
	}
	return dir, nil
}

// file makes a file of n bytes that nothing can compress or share.
func (b *bench) file(name string, n int64) (string, error) {
	path := filepath.Join(b.dir, name)
	src, err := os.Open("/dev/urandom")
	if err != nil {
		return "", err
	}
	defer src.Close()
	dst, err := os.Create(path)
	if err != nil {
		return "", err
	}
	defer dst.Close()
	if _, err := io.CopyN(dst, src, n); err != nil {
		return "", err
	}
	return path, dst.Close()
}

// fresh runs a command in a clone of a folder and removes it again.
func (b *bench) fresh(base string, build func(dir string) command) (sample, error) {
	dir, err := b.clone(base)
	if err != nil {
		return sample{}, err
	}
	defer os.RemoveAll(dir)
	return measure(build(dir))
}

// inTurn runs functions one after the other, n times, and collects what each gives.
// Every second round goes backwards, so that none is always first.
func inTurn(n int, runs ...func() (sample, error)) ([]side, error) {
	sides := make([]side, len(runs))
	for round := range n {
		for i := range runs {
			if round%2 == 1 {
				i = len(runs) - 1 - i
			}
			s, err := runs[i]()
			if err != nil {
				return nil, err
			}
			sides[i] = append(sides[i], s)
		}
	}
	return sides, nil
}

func (b *bench) add(r row) { b.rows = append(b.rows, r) }

func (b *bench) aim(met bool, what, measured string, args ...any) {
	b.goals = append(b.goals, goal{what, fmt.Sprintf(measured, args...), met})
}

func (b *bench) missed() []string {
	var out []string
	for _, g := range b.goals {
		if !g.met {
			out = append(out, g.what+": "+strings.TrimSpace(g.measured))
		}
	}
	return out
}
