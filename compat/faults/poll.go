package main

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

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

	// pinned: agents find the old versions, wherever they lie.
	pinned atomic.Bool

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
		pinned := p.pinned.Load()
		p.book("running", p.all(seen(running, p.dir), pinned))
		p.book("restarted", p.all(p.j.look(p.dir, filepath.Join(p.state, "restarted")), pinned))
		p.book("cold", p.all(p.j.look(p.dir, ""), pinned))
	}
}

// all demands the old versions, unless some were about to be pruned meanwhile.
func (p *poller) all(s sight, pinned bool) sight {
	for _, version := range oldVersions {
		if name := "orbit/linux/" + version + "/orbit"; s.err == nil && pinned && p.pinned.Load() && s.world[name] == "" {
			s.err = fmt.Errorf("pinned to %s and does not find it", name)
		}
	}
	return s
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

// polls is the class "poll": adds, promotions, removals, timestamps, rotations of root,
// archive, undo and prune on a consistent repository, with agents looking all the time, for
// the channels and for versions that go to the archive and back.
func (c *campaign) polls([]*scenario) error {
	dir := c.scratchDir()
	if err := copyTree(c.lab.lived[true], dir); err != nil {
		return err
	}
	p := c.lab.judge.poll(dir, dir+"-agents")
	p.pinned.Store(true) // this repository has old versions
	counts := map[string]int{}
	for i := range c.opts.changes {
		args, err := c.lab.change(i)
		if err != nil {
			return err
		}
		if args[0] == "prune" {
			p.pinned.Store(false)
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
	switch i % 10 {
	case 1:
		return []string{"timestamp"}, nil
	case 2:
		return []string{"promote", fmt.Sprintf("4.%d", i-2), "--from", "edge", "--to", "stable"}, nil
	case 3:
		return []string{"rotate", "root"}, nil
	case 4:
		return []string{"remove", "--channel", fmt.Sprintf("4.%d", i-4)}, nil
	case 5:
		a, err := l.addition(fmt.Sprintf("poll-%d", i), sizeOther+i, fmt.Sprintf("3.%d", i))
		return a.args(), err
	case 6, 8:
		return archiveArgs(), nil
	case 7:
		return []string{"archive", "--undo"}, nil
	case 9:
		return []string{"prune", "--keep", "1"}, nil
	}
	a, err := l.addition(fmt.Sprintf("poll-%d", i), sizeOther+i, fmt.Sprintf("4.%d", i), "edge")
	return a.args(), err
}
