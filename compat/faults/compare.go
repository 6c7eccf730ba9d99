package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"
)

// side is one of the two that are compared, on a repository of its own.
type side struct {
	name string
	tool tool
	// ours: flags that fleetctl does not have are passed.
	ours        bool
	base, agent string
	old         world
	takes       map[string]time.Duration
}

// score counts the wrecks of one side and command.
type score struct {
	kills, running, cold            int // at once
	refused, failing, wrong, sound  int // after the next command
	firstRefused, firstFail, firstW string
}

// compare is the class "peer": the same kills on fleetctl's calls and on ours, and the
// same next commands. Nothing is demanded here of the peer, and of us only what the
// other classes demand too.
func (c *campaign) compare([]*scenario) error {
	var err error
	if c.lab.large, err = c.lab.addition("large", c.opts.peerFile, "1.1.0", "1", "stable"); err != nil {
		return err
	}
	rng := rand.New(rand.NewPCG(c.opts.seed, 4))
	peer := tool{c.opts.peerBin, c.lab.tool.home}
	sides := []*side{
		{name: "fleetctl's calls, flat", tool: peer},
		{name: "fleet-hsm, flat", tool: c.lab.tool, ours: true, base: c.lab.bases[false]},
		{name: "fleet-hsm, consistent", tool: c.lab.tool, ours: true, base: c.lab.bases[true]},
	}
	scores := map[string]*score{}
	var order []string
	for i, s := range sides {
		s.agent = filepath.Join(c.lab.work, fmt.Sprintf("agent-side-%d", i))
		if err := c.lab.makeSide(s); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		for _, command := range []string{"add", "rotate"} {
			n, key := c.opts.peerKills, fmt.Sprintf("%s: %s", s.name, command)
			if !s.ours && !c.opts.long {
				n = 1 // its key files cost what they do in earnest, and nothing is demanded of it
			}
			sc := &score{}
			scores[key], order = sc, append(order, key)
			delays := make([]time.Duration, n)
			for i := range delays {
				delays[i] = time.Duration(rng.Int64N(int64(s.takes[command])))
			}
			err := c.each(n, func(i int) error { return c.comparedKill(s, command, i, delays[i], sc) })
			if err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
			if s.ours && sc.failing+sc.wrong+sc.refused > 0 {
				c.report.fail("peer: %s: %s%s%s", key, sc.firstRefused, sc.firstFail, sc.firstW)
			}
		}
	}
	c.report.notef(func(out io.Writer) { printScores(out, order, scores) })
	return nil
}

// makeSide makes the repository, unless there is one, and measures the commands.
func (l *lab) makeSide(s *side) error {
	if s.base == "" {
		s.base = filepath.Join(l.work, "base-peer")
		if err := os.Mkdir(s.base, 0o755); err != nil {
			return err
		}
		for _, args := range [][]string{{"init"}, l.first.args(), {"rotate", "root"}, {"timestamp"}} {
			if _, err := s.tool.must(s.base, args...); err != nil {
				return err
			}
		}
	}
	saw := l.judge.look(s.base, s.agent)
	if saw.err != nil {
		return saw.err
	}
	s.old, s.takes = saw.world, map[string]time.Duration{}
	for _, command := range []string{"add", "rotate"} {
		dir := s.agent + "-" + command
		if err := copyTree(s.base, dir); err != nil {
			return err
		}
		start := time.Now()
		if _, err := s.tool.must(dir, l.compared(command)...); err != nil {
			return err
		}
		s.takes[command] = time.Since(start)
	}
	return nil
}

// compared is the command that is killed.
func (l *lab) compared(command string) []string {
	if command == "add" {
		return l.large.args()
	}
	return []string{"rotate", "targets"}
}

// follow gives the next command and the worlds that it may lead to.
func (l *lab) follow(s *side, command string, i int) ([]string, worlds) {
	is := worlds{s.old}
	if command == "add" {
		is = append(is, s.old.with(l.large))
	}
	then := func(a addition) worlds { return is.after(func(w world) world { return w.with(a) }) }
	// The same version, built again and smaller.
	rebuilt := l.other
	rebuilt.version, rebuilt.tags = l.large.version, l.large.tags
	switch i % 3 {
	case 0:
		return []string{"timestamp"}, is
	case 1:
		if command == "add" {
			return l.large.args(), then(l.large)
		}
		return l.compared(command), is
	}
	args := rebuilt.args()
	if s.ours {
		args = append(args, "--replace")
	}
	return args, then(rebuilt)
}

func (c *campaign) comparedKill(s *side, command string, i int, delay time.Duration, sc *score) error {
	l, scratch := c.lab, c.scratchDir()
	dir := filepath.Join(scratch, "repo")
	if err := os.Mkdir(scratch, 0o755); err != nil {
		return err
	}
	if err := copyTree(s.base, dir); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), delay)
	defer cancel()
	_ = s.tool.command(ctx, dir, l.compared(command)).Run() // killed when the time is over
	w, err := l.judge.witnesses(dir, s.agent, scratch)
	if err != nil {
		return err
	}
	pair := w.now()
	args, may := l.follow(s, command, i)
	res, err := s.tool.run(dir, args...)
	if err != nil {
		return err
	}
	end, err := w.end(may)
	if err != nil {
		return err
	}
	cold := l.judge.look(dir, "")
	c.report.mu.Lock()
	defer c.report.mu.Unlock()
	sc.count(pair, res, end, cold)
	return os.RemoveAll(scratch)
}

// count books one wreck. Bytes that nobody gave are worse than clients that fail, and
// those are worse than a command that refuses.
func (sc *score) count(pair [2]sight, res result, end string, cold sight) {
	sc.kills++
	if pair[0].err != nil {
		sc.running++
	}
	if pair[1].err != nil {
		sc.cold++
	}
	switch {
	case end != "" && cold.err == nil && res.code == 0:
		sc.wrong++
		sc.firstW = end
	case end != "":
		sc.failing++
		sc.firstFail = end
	case res.code != 0:
		sc.refused++
		sc.firstRefused = oneLine(res.stderr)
	default:
		sc.sound++
	}
}

func printScores(out io.Writer, order []string, scores map[string]*score) {
	fmt.Fprintln(out, "The same kills on fleetctl's calls (go-tuf v0.5.2) and on ours; then timestamp, the same command, and the rebuilt (smaller) file, in turn")
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "killed command\tkills\tat once: running fails\tcold fails\tthen: all good\tcommand refused\tclients fail\twrong bytes, signed\t")
	for _, key := range order {
		s := scores[key]
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t\n", key, s.kills, s.running, s.cold, s.sound, s.refused, s.failing, s.wrong)
	}
	w.Flush()
}
