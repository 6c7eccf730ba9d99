package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
)

// verdict is what was found of one wreck.
type verdict struct {
	// published says how far the broken command had come: "old", "new" or "between".
	published string
	// journal: an interrupted commit waited to be finished.
	journal bool
	// running and cold: what the agents said before any command; "" if whole.
	running, cold string
	// window: in the one window of a rotation.
	window bool
	first  string
	// violation is the first demand that was not met.
	violation string
}

// fault breaks a command in dir. said is what goes into the record of a violation.
type fault func(dir string) (said string, err error)

// try makes a wreck in scratch and judges it. turn chooses the first command.
func (l *lab) try(s *scenario, scratch string, turn int, f fault) (verdict, error) {
	if err := os.Mkdir(scratch, 0o755); err != nil {
		return verdict{}, err
	}
	v, err := l.tryIn(s, scratch, turn, f)
	if err != nil || v.violation != "" {
		return v, err
	}
	return v, os.RemoveAll(scratch)
}

// tryIn is try in a folder that is there and stays.
func (l *lab) tryIn(s *scenario, scratch string, turn int, f fault) (verdict, error) {
	dir := filepath.Join(scratch, "repo")
	if err := copyTree(s.base, dir); err != nil {
		return verdict{}, err
	}
	said, err := f(dir)
	if err != nil {
		return verdict{}, err
	}
	v, err := l.examine(s, dir, scratch, turn)
	if err != nil {
		return v, err
	}
	if v.violation != "" {
		v.violation = fmt.Sprintf("%s: %s; then %q: %s", s, said, v.first, v.violation)
	}
	return v, nil
}

func (l *lab) examine(s *scenario, dir, scratch string, turn int) (verdict, error) {
	may := worlds{s.old, s.new}
	web := filepath.Join(dir, "repository")
	w, err := l.judge.witnesses(dir, s.agent, scratch)
	if err != nil {
		return verdict{}, err
	}
	v, err := s.progress(dir)
	if err != nil {
		return v, err
	}
	pair := w.now()
	at := worlds{s.old, s.ends()}
	v.running, v.cold = pair[0].in(at), pair[1].in(at)
	if v.violation, err = s.before.lost(web, may); err != nil || v.violation != "" {
		return v, err
	}
	if s.consistent && v.running+v.cold != "" && !v.window {
		v.violation = "before any command: running: " + v.running + "; cold: " + v.cold
		return v, nil
	}
	return v, l.mend(s, &v, w, turn)
}

// mend runs the two commands and lets all agents look again.
func (l *lab) mend(s *scenario, v *verdict, w *witnesses, turn int) error {
	may := worlds{s.old, s.new}
	before, err := readPublished(filepath.Join(w.dir, "repository"))
	if err != nil {
		return err
	}
	if v.violation, err = l.reads(w.dir, v.journal); err != nil || v.violation != "" {
		return err
	}
	if err := age(w.dir); err != nil {
		return err
	}
	first := s.firsts()[turn%len(s.firsts())]
	v.first = first.name
	steps := []step{first, s.second(first.name == "discard")}
	if s.name == unstamped {
		steps = append(steps, step{"timestamp", []string{"timestamp"}, []int{0}, stay})
	}
	for _, st := range steps {
		if v.violation, err = l.tool.take(w.dir, st); err != nil || v.violation != "" {
			return err
		}
		may = st.leads(may)
	}
	lost := append(worlds{s.old, s.new}, may...)
	if v.violation, err = s.before.lost(filepath.Join(w.dir, "repository"), lost); err != nil || v.violation != "" {
		return err
	}
	now, err := readVersions(filepath.Join(w.dir, "repository"))
	if err != nil {
		return err
	}
	if v.violation = now.below(before.versions); v.violation != "" {
		return nil
	}
	if v.violation, err = w.end(may); err != nil || v.violation != "" {
		return err
	}
	left, err := leftovers(w.dir)
	if len(left) > 0 {
		v.violation = fmt.Sprintf("left behind: %q", left)
	}
	return err
}

// reads: a command that only reads works on every wreck, tells of an interrupted commit,
// and changes nothing.
func (l *lab) reads(dir string, journal bool) (string, error) {
	before, err := hashTree(dir)
	if err != nil {
		return "", err
	}
	res, err := l.tool.run(dir, "status")
	if err != nil {
		return "", err
	}
	after, err := hashTree(dir)
	switch {
	case err != nil:
		return "", err
	case res.code != 0:
		return fmt.Sprintf("status exits %d: %s", res.code, oneLine(res.stderr)), nil
	case journal && !strings.Contains(res.out+res.stderr, "interrupted"):
		return "status says nothing of the interrupted commit", nil
	case !maps.Equal(before, after):
		return "status changed the folder", nil
	}
	return "", nil
}

// progress reads from the files how far the command had come.
func (s *scenario) progress(dir string) (verdict, error) {
	v := verdict{published: "between", journal: exists(dir, "pending", "journal")}
	now, err := hashTree(filepath.Join(dir, "repository"))
	if err != nil {
		return v, err
	}
	stamped := now["timestamp.json"] != s.before.sums["timestamp.json"]
	rooted := len(now) > 0 && exists(dir, "repository", fmt.Sprintf("%d.root.json", s.before.versions["root"]+1))
	same := len(now) == len(s.before.sums)
	for path, sum := range s.before.sums {
		same = same && now[path] == sum
	}
	switch {
	case same:
		v.published = "old"
	case stamped, s.role == "root" && rooted:
		v.published = "new"
	}
	v.window = s.window() && rooted && !stamped
	return v, nil
}
