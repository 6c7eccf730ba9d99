package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
)

// campaign runs wrecks on two workers and keeps the tallies.
type campaign struct {
	lab     *lab
	opts    options
	report  *report
	scratch atomic.Int64
}

// job is one wreck to be made.
type job struct {
	class string
	s     *scenario
	f     fault
}

func (c *campaign) scratchDir() string {
	return filepath.Join(c.lab.work, fmt.Sprintf("wreck-%d", c.scratch.Add(1)))
}

// each runs f for 0..n-1 on the workers and gives the first error.
func (c *campaign) each(n int, f func(i int) error) error {
	var next atomic.Int64
	var wg sync.WaitGroup
	errs := make([]error, c.opts.workers)
	for w := range c.opts.workers {
		wg.Go(func() {
			for errs[w] == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				errs[w] = f(i)
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// wreck makes and books one wreck.
func (c *campaign) wreck(class string, s *scenario, turn int, f fault) error {
	dir := c.scratchDir()
	v, err := c.lab.try(s, dir, turn, f)
	if err != nil {
		return fmt.Errorf("%s, %s: %w (see %s)", class, s, err, dir)
	}
	c.report.book(class, s, v, dir)
	return nil
}

// kills is the class "kill".
func (c *campaign) kills(all []*scenario) error {
	// add, rotate and commit are what the figure is about; the rest is along.
	var list []*scenario
	for _, s := range all {
		list = append(list, s)
		if s.name == "add" || s.name == "commit" {
			list = append(list, s, s)
		}
	}
	rng := rand.New(rand.NewPCG(c.opts.seed, 1))
	offset := rng.IntN(len(list))
	jobs := make([]job, c.opts.kills)
	for i := range jobs {
		s := list[(i+offset)%len(list)]
		// Another aim whenever the scenario comes round again.
		jobs[i] = job{"kill", s, c.lab.randomKill(s, rng, i+i/len(list))}
	}
	return c.each(len(jobs), func(i int) error {
		return c.wreck("kill", jobs[i].s, i+i/len(list)/len(aims()), jobs[i].f)
	})
}

// keepOnly removes everything but the wrecks of violations.
func (c *campaign) clear() {
	if len(c.report.violations) == 0 && !c.opts.keep {
		_ = os.RemoveAll(c.lab.work)
	}
}
