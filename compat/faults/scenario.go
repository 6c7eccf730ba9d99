package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// scenario is a command on a repository, with the worlds before and after it.
type scenario struct {
	name       string // "add", "rotate root", ...
	consistent bool
	args       []string
	// role that a rotation changes, "" for other commands.
	role string
	// staged: a signed change waits in pending/ and the command commits it.
	staged bool
	// stages: clients see nothing of the command until another one goes on.
	stages bool
	// base is the prepared repository, a copy of from, agent the state folder of an agent
	// that holds what is published in it.
	from, base, agent string
	old, new          world
	before            published
	same, other       addition
	// aims are the parts of the command's time that random kills are spread over.
	aims []aim
}

func (s *scenario) String() string { return s.name + ", " + layout(s.consistent) }

func layout(consistent bool) string {
	if consistent {
		return "consistent"
	}
	return "flat"
}

// window: a rotation of another role than root has one.
func (s *scenario) window() bool { return s.role != "" && s.role != "root" }

// lab makes repositories and scenarios in a work folder.
type lab struct {
	work        string
	tool        tool
	judge       *judge
	first, next addition // in every base; what add adds
	other       addition
	large       addition        // for the comparison with the peer
	bases       map[bool]string // by layout
	// lived has old versions, archived the same in the archive.
	lived, archived map[bool]string
}

// sizes of the targets in bytes: small, since every wreck is read by five agents; the
// new one large enough to be killed in the middle.
const (
	sizeFirst, sizeNext, sizeOther = 96 << 10, 1 << 20, 64 << 10
)

func newLab(work string, t tool, j *judge) (*lab, error) {
	l := &lab{work: work, tool: t, judge: j, bases: map[bool]string{}, lived: map[bool]string{}, archived: map[bool]string{}}
	var err error
	if l.first, err = l.addition("first", sizeFirst, "1.0.0", "1", "stable", "edge"); err != nil {
		return nil, err
	}
	if l.next, err = l.addition("next", sizeNext, "1.1.0", "1", "stable"); err != nil {
		return nil, err
	}
	if l.other, err = l.addition("other", sizeOther, "2.0.0", "edge"); err != nil {
		return nil, err
	}
	for _, consistent := range []bool{true, false} {
		dir := filepath.Join(work, "base-"+layout(consistent))
		if err := l.makeBase(dir, consistent); err != nil {
			return nil, err
		}
		l.bases[consistent] = dir
		if err := l.grow(dir, consistent); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// grow makes the two bases that have old versions.
func (l *lab) grow(base string, consistent bool) error {
	l.lived[consistent], l.archived[consistent] = base+"-lived", base+"-archived"
	if err := copyTree(base, l.lived[consistent]); err != nil {
		return err
	}
	for i, version := range oldVersions {
		old, err := l.addition("old-"+version, sizeOther+i, version)
		if err != nil {
			return err
		}
		if _, err := l.tool.must(l.lived[consistent], old.args()...); err != nil {
			return err
		}
	}
	if err := copyTree(l.lived[consistent], l.archived[consistent]); err != nil {
		return err
	}
	_, err := l.tool.must(l.archived[consistent], archiveArgs()...)
	return err
}

func archiveArgs() []string { return []string{"archive", "--keep", "1"} }

// archivedRotation is a rotation that signs the cold roles again.
const archivedRotation = "rotate targets with an archive"

func (l *lab) addition(name string, size int, version string, tags ...string) (addition, error) {
	file := filepath.Join(l.work, name+".bin")
	if err := randomFile(file, size, name[0]); err != nil {
		return addition{}, err
	}
	sum, err := hashFile(file)
	return addition{file, sum, version, tags}, err
}

func (l *lab) makeBase(dir string, consistent bool) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	steps := [][]string{
		{"init", fmt.Sprintf("--consistent-snapshot=%t", consistent)},
		l.first.args(), {"rotate", "root"}, {"timestamp"},
	}
	for _, args := range steps {
		if _, err := l.tool.must(dir, args...); err != nil {
			return err
		}
	}
	// Files that are not ours have to survive everything.
	return os.WriteFile(filepath.Join(dir, "repository", "README.html"), []byte("mirror of ours\n"), 0o644)
}

// unstamped is a commit that leaves the timestamp to another machine: clients stay
// where they are until it comes.
const unstamped = "commit, no timestamp"

// plans are the commands under test.
func (l *lab) plans() []scenario {
	var out []scenario
	for _, consistent := range []bool{true, false} {
		plan := func(name, role string, staged bool, args ...string) {
			out = append(out, scenario{name: name, role: role, staged: staged, consistent: consistent, args: args})
		}
		plan("add", "", false, l.next.args()...)
		plan("commit", "", true, "commit")
		plan("stage", "", false, append(l.next.args(), "--stage-only")...)
		out[len(out)-1].stages = true
		if consistent {
			plan(unstamped, "", true, "commit", "--without-timestamp")
			out[len(out)-1].stages = true
		}
		plan("timestamp", "", false, "timestamp")
		for _, role := range roles {
			plan("rotate "+role, role, false, "rotate", role)
		}
		plan("archive", "", false, archiveArgs()...)
		out[len(out)-1].from = l.lived[consistent]
		for _, c := range []struct {
			name, role string
			args       []string
		}{
			{"prune", "", []string{"prune", "--keep", "3"}},
			{"undo", "", []string{"archive", "--undo"}},
			{archivedRotation, "targets", []string{"rotate", "targets"}},
		} {
			plan(c.name, c.role, false, c.args...)
			out[len(out)-1].from = l.archived[consistent]
		}
	}
	return out
}

// prepare makes the scenarios that are wanted: bases, worlds and timings.
func (c *campaign) prepare(wanted func(*scenario) bool) ([]*scenario, error) {
	l := c.lab
	var out []*scenario
	for i, p := range l.plans() {
		if !wanted(&p) {
			continue
		}
		p.same, p.other = l.next, l.other
		if p.from == "" {
			p.from = l.bases[p.consistent]
		}
		p.base, p.agent = filepath.Join(l.work, fmt.Sprintf("scenario-%d", i)), filepath.Join(l.work, fmt.Sprintf("agent-%d", i))
		out = append(out, &p)
	}
	return out, c.each(len(out), func(i int) error {
		if err := l.fill(out[i]); err != nil {
			return fmt.Errorf("preparing %s: %w", out[i], err)
		}
		return nil
	})
}

func (l *lab) fill(s *scenario) error {
	if err := copyTree(s.from, s.base); err != nil {
		return err
	}
	if s.staged {
		if err := l.stage(s.base); err != nil {
			return err
		}
	}
	saw := l.judge.look(s.base, s.agent)
	if saw.err != nil {
		return saw.err
	}
	s.old, s.new = saw.world, saw.world
	if s.staged || s.stages || s.name == "add" {
		s.new = s.old.with(l.next)
	}
	if s.name == "prune" {
		s.new = s.old.without(oldVersions[0])
	}
	var err error
	if s.before, err = readPublished(filepath.Join(s.base, "repository")); err != nil {
		return err
	}
	return l.rehearse(s)
}

// rehearse runs the command to its end: it must lead to the world that clients see
// then, and its timing tells where to aim.
func (l *lab) rehearse(s *scenario) error {
	dir := s.base + "-rehearsal"
	if err := copyTree(s.base, dir); err != nil {
		return err
	}
	starts, end, err := l.rehearsal(s, dir)
	if err != nil {
		return err
	}
	for i, file := range aims() {
		if !starts[i].IsZero() {
			s.aims = append(s.aims, aim{file, end.Sub(starts[i])})
		}
	}
	if why := l.judge.look(dir, "").in(worlds{s.ends()}); why != "" {
		return fmt.Errorf("without any fault: %s", why)
	}
	return os.RemoveAll(dir)
}

// rehearsal gives when the file of each aim appeared, zero if it did not, and the end.
func (l *lab) rehearsal(s *scenario, dir string) (starts []time.Time, end time.Time, err error) {
	w, err := newWatch(filepath.Join(dir, "pending"))
	if err != nil {
		return nil, end, err
	}
	defer w.close()
	cmd := l.tool.command(context.Background(), dir, s.args)
	starts = make([]time.Time, len(aims()))
	starts[0] = time.Now()
	if err := cmd.Start(); err != nil {
		return nil, end, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for i, file := range aims()[1:] {
		seen := w.wait(filepath.Join(dir, file), ended)
		if seen.ended || seen.err != nil {
			return starts, time.Now(), seen.err
		}
		starts[i+1] = time.Now()
	}
	err = <-ended
	return starts, time.Now(), err
}

// ends gives the world that clients see after the command.
func (s *scenario) ends() world {
	if s.stages {
		return s.old
	}
	return s.new
}

// stage stages and signs what add adds, for commit.
func (l *lab) stage(dir string) error {
	if _, err := l.tool.must(dir, append(l.next.args(), "--stage-only")...); err != nil {
		return err
	}
	res, err := l.tool.must(dir, "review", "--json")
	if err != nil {
		return err
	}
	var review struct {
		Roles []struct {
			SHA256 string `json:"sha256"`
		} `json:"roles"`
	}
	if err := json.Unmarshal([]byte(res.out), &review); err != nil {
		return err
	}
	args := []string{"sign", "--no-input"}
	for _, r := range review.Roles {
		args = append(args, "--reviewed", r.SHA256)
	}
	_, err = l.tool.must(dir, args...)
	return err
}
