package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// races is the class "race".
func (c *campaign) races(all []*scenario) error {
	for _, consistent := range []bool{true, false} {
		if err := c.twoAdds(consistent); err != nil {
			return err
		}
	}
	if err := c.loops(); err != nil {
		return err
	}
	return c.readers()
}

// readers lets status look all the time while the flat layout, where files change one
// by one under its eyes, is rotated and added to.
func (c *campaign) readers() error {
	dir := c.scratchDir()
	if err := copyTree(c.lab.bases[false], dir); err != nil {
		return err
	}
	t := &contest{c: c, dir: dir}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if err := t.look(0); err != nil {
				c.report.fail("race: %v (%s)", err, dir)
				return
			}
		}
	})
	n := max(4, c.opts.races)
	for i := range n {
		a, err := c.lab.addition(fmt.Sprintf("reader-%d", i), sizeOther+i, fmt.Sprintf("7.%d", i), "edge")
		if err != nil {
			return err
		}
		args := [][]string{{"rotate", "targets"}, a.args(), {"rotate", "snapshot"}, {"rotate", "timestamp"}}[i%4]
		if _, err := c.lab.tool.must(dir, args...); err != nil {
			return err
		}
	}
	close(stop)
	wg.Wait()
	c.report.note("race: %d status beside %d rotations and adds in the flat layout", t.looks.Load(), n)
	return os.RemoveAll(dir)
}

// twoAdds runs two adds at once, again and again: one waits, or gives up with exit 7
// and leaves nothing of itself.
func (c *campaign) twoAdds(consistent bool) error {
	dir := c.scratchDir()
	if err := copyTree(c.lab.bases[consistent], dir); err != nil {
		return err
	}
	now := c.lab.judge.look(dir, "")
	if now.err != nil {
		return now.err
	}
	may, published, waited, locked := worlds{now.world}, now.versions.Timestamp, 0, 0
	for i := range c.opts.races {
		pair, codes, err := c.bothAt(dir, i)
		if err != nil {
			return err
		}
		may = outcomes(may[0], pair, codes)
		for _, code := range codes {
			switch code {
			case 0:
				published++
			case 7:
				locked++
			default:
				c.report.fail("race, %s: of two adds at once one exits %d", layout(consistent), code)
			}
		}
		if codes[0] == 0 && codes[1] == 0 {
			waited++
		}
		now := c.lab.judge.look(dir, "")
		if why := now.in(may); why != "" {
			c.report.fail("race, %s: after two adds at once (exits %v): %s (%s)", layout(consistent), codes, why, dir)
			return nil
		}
		if now.versions.Timestamp != published {
			c.report.fail("race, %s: timestamp v%d after changes that make v%d (%s)", layout(consistent), now.versions.Timestamp, published, dir)
			return nil
		}
		may = worlds{now.world}
	}
	c.report.note("race, %s: two adds at once %d times: %d times one waited, %d times one exited 7, no mixed result",
		layout(consistent), c.opts.races, waited, locked)
	return os.RemoveAll(dir)
}

// bothAt starts two adds that claim one channel. Every other time neither waits for
// the lock.
func (c *campaign) bothAt(dir string, i int) (pair [2]addition, codes [2]int, err error) {
	var wg sync.WaitGroup
	var errs [2]error
	for n := range pair {
		pair[n], errs[n] = c.lab.addition(fmt.Sprintf("%c-race-%d", 'a'+n, i), sizeNext+i*2+n, fmt.Sprintf("5.%d.%d", i, n), "stable")
		if errs[n] != nil {
			return pair, codes, errs[n]
		}
	}
	for n := range pair {
		wg.Go(func() {
			args := pair[n].args()
			if i%2 == 1 {
				args = append(args, "--lock-timeout", "1ms")
			}
			var res result
			res, errs[n] = c.lab.tool.run(dir, args...)
			codes[n] = res.code
		})
	}
	wg.Wait()
	for n := range errs {
		if errs[n] != nil {
			return pair, codes, errs[n]
		}
	}
	return pair, codes, nil
}

// outcomes gives the worlds that two adds may leave, by who succeeded and in either
// order.
func outcomes(w world, pair [2]addition, codes [2]int) worlds {
	switch {
	case codes[0] == 0 && codes[1] == 0:
		return worlds{w.with(pair[0]).with(pair[1]), w.with(pair[1]).with(pair[0])}
	case codes[0] == 0:
		return worlds{w.with(pair[0])}
	case codes[1] == 0:
		return worlds{w.with(pair[1])}
	}
	return worlds{w}
}

// contest is add, timestamp and status in loops on one repository.
type contest struct {
	c     *campaign
	dir   string
	until time.Time
	// done counts the successes of each; world is what the adds lead to.
	adds, stamps, looks atomic.Int64
	world               world
}

// loops lets add, timestamp and status contend, with agents polling.
func (c *campaign) loops() error {
	dir := c.scratchDir()
	if err := copyTree(c.lab.bases[true], dir); err != nil {
		return err
	}
	before, err := readVersions(filepath.Join(dir, "repository"))
	if err != nil {
		return err
	}
	start := c.lab.judge.look(dir, "")
	if start.err != nil {
		return start.err
	}
	p := c.lab.judge.poll(dir, dir+"-agents")
	t := &contest{c: c, dir: dir, until: time.Now().Add(c.opts.loops), world: start.world}
	var wg sync.WaitGroup
	for _, f := range []func(i int) error{t.add, t.stamp, t.look} {
		wg.Go(func() { t.loop(f) })
	}
	wg.Wait()
	p.end()
	c.report.note("race: %d adds against %d timestamps and %d status in loops for %v; %d rounds of three agents: %d failures",
		t.adds.Load(), t.stamps.Load(), t.looks.Load(), c.opts.loops, p.rounds, p.failed)
	if p.failed > 0 {
		c.report.fail("race: %d agents failed, the first in %s", p.failed, p.first)
	}
	return t.check(before)
}

func (t *contest) loop(f func(i int) error) {
	for i := 0; time.Now().Before(t.until); i++ {
		if err := f(i); err != nil {
			t.c.report.fail("race: %v (%s)", err, t.dir)
			return
		}
	}
}

func (t *contest) add(i int) error {
	a, err := t.c.lab.addition(fmt.Sprintf("loop-%d", i), sizeOther+i, fmt.Sprintf("6.%d", i), "edge")
	if err != nil {
		return err
	}
	if _, err := t.c.lab.tool.must(t.dir, append(a.args(), "--lock-timeout", "60s")...); err != nil {
		return err
	}
	t.world = t.world.with(a)
	t.adds.Add(1)
	return os.Remove(a.file)
}

func (t *contest) stamp(int) error {
	_, err := t.c.lab.tool.must(t.dir, "timestamp", "--lock-timeout", "60s")
	t.stamps.Add(1)
	return err
}

// look: a command that only reads never fails because somebody writes.
func (t *contest) look(int) error {
	_, err := t.c.lab.tool.must(t.dir, "status")
	t.looks.Add(1)
	return err
}

// check: every version rose by one for each success, and every one of them is there.
func (t *contest) check(before versions) error {
	web := filepath.Join(t.dir, "repository")
	after, err := readVersions(web)
	if err != nil {
		return err
	}
	want := versions{"root": before["root"], "targets": before["targets"] + t.adds.Load(), "snapshot": before["snapshot"] + t.adds.Load(),
		"timestamp": before["timestamp"] + t.adds.Load() + t.stamps.Load()}
	var wrong []string
	for _, role := range roles {
		if after[role] != want[role] {
			wrong = append(wrong, fmt.Sprintf("%s v%d, not v%d", role, after[role], want[role]))
		}
	}
	for v := before["targets"]; v <= after["targets"]; v++ {
		if !exists(web, fmt.Sprintf("%d.targets.json", v)) {
			wrong = append(wrong, fmt.Sprintf("no %d.targets.json", v))
		}
	}
	if why := t.c.lab.judge.look(t.dir, "").in(worlds{t.world}); why != "" {
		wrong = append(wrong, why)
	}
	if len(wrong) > 0 {
		t.c.report.fail("race: after the loops: %s (%s)", strings.Join(wrong, "; "), t.dir)
		return nil
	}
	return os.RemoveAll(t.dir)
}
