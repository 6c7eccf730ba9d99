package main

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/fleet-hsm/fleet-hsm/compat/fleetclient/orbit"
)

// poller is agents in a tight loop, while somebody publishes: one that keeps running,
// one that is restarted, and a cold one.
type poller struct {
	j     *judge
	dir   string
	state string
	stop  chan struct{}
	done  sync.WaitGroup

	rounds, failed int
	first          string
	last           versions
}

func (j *judge) poll(dir, state string) *poller {
	p := &poller{j: j, dir: dir, state: state, stop: make(chan struct{}), last: versions{}}
	p.done.Go(p.loop)
	return p
}

// end stops the loop after one more round.
func (p *poller) end() {
	close(p.stop)
	p.done.Wait()
}

func (p *poller) loop() {
	running, err := p.open(filepath.Join(p.state, "running"))
	if err != nil {
		p.book("running", sight{err: err})
		return
	}
	defer running.Close()
	for last := false; !last; {
		select {
		case <-p.stop:
			last = true
		default:
		}
		p.rounds++
		p.book("running", seen(running))
		p.book("restarted", p.j.look(p.dir, filepath.Join(p.state, "restarted")))
		p.book("cold", p.j.look(p.dir, ""))
	}
}

func (p *poller) open(dir string) (*orbit.Agent, error) {
	root, err := os.ReadFile(filepath.Join(p.dir, "repository", "1.root.json"))
	if err != nil {
		return nil, err
	}
	return orbit.Open(orbit.Options{URL: p.j.url(p.dir), Dir: dir, Root: root})
}

// book counts a look that failed, and a version that went back.
func (p *poller) book(who string, s sight) {
	now := versions{"root": s.versions.Root, "targets": s.versions.Targets, "snapshot": s.versions.Snapshot, "timestamp": s.versions.Timestamp}
	why := ""
	switch {
	case s.err != nil:
		why = s.err.Error()
	default:
		why = now.below(p.last)
		p.last = now
	}
	if why == "" {
		return
	}
	if p.failed++; p.first == "" {
		p.first = fmt.Sprintf("round %d, %s agent: %s", p.rounds, who, why)
	}
}

// polls is the class "poll": adds, promotions, removals, timestamps and rotations of
// root on a consistent repository, with agents looking all the time.
func (c *campaign) polls([]*scenario) error {
	dir := c.scratchDir()
	if err := copyTree(c.lab.bases[true], dir); err != nil {
		return err
	}
	p := c.lab.judge.poll(dir, dir+"-agents")
	counts := map[string]int{}
	for i := range c.opts.changes {
		args, err := c.lab.change(i)
		if err != nil {
			return err
		}
		if _, err := c.lab.tool.must(dir, args...); err != nil {
			return err
		}
		counts[args[0]]++
	}
	p.end()
	c.report.note("poll: %d rounds of three agents (running, restarted, cold) during %v: %d failures", p.rounds, counts, p.failed)
	if p.failed > 0 {
		c.report.fail("poll: %d agents failed on a consistent repository, the first in %s", p.failed, p.first)
	}
	return os.RemoveAll(dir)
}

// change gives the i-th command of a busy repository.
func (l *lab) change(i int) ([]string, error) {
	switch i % 6 {
	case 1, 4:
		return []string{"timestamp"}, nil
	case 2:
		return []string{"promote", fmt.Sprintf("4.%d", i-2), "--from", "edge", "--to", "stable"}, nil
	case 3:
		return []string{"rotate", "root"}, nil
	case 5:
		return []string{"remove", "--channel", fmt.Sprintf("4.%d", i-5)}, nil
	}
	a, err := l.addition(fmt.Sprintf("poll-%d", i), sizeOther+i, fmt.Sprintf("4.%d", i), "edge")
	return a.args(), err
}
