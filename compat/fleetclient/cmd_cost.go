package main

import (
	"io"
	"syscall"
	"time"
)

// cost is what polls took; the bytes are counted by who serves them.
type cost struct {
	Processor float64 `json:"processor_seconds"`
	Wall      float64 `json:"wall_seconds"`
}

// cmdCost does what an agent does at a poll, an update and a lookup of each component, and
// prints what it took of this process, its start not counted.
func cmdCost(s *setup, args []string, stdout io.Writer) error {
	fs := s.flags("cost")
	rounds := fs.Int("rounds", 1, "polls; the cost of one is printed")
	names, err := parse(fs, args, -1)
	if err != nil {
		return err
	}
	if len(names) == 0 || *rounds < 1 {
		return usage("cost takes the targets to look up, and at least one round")
	}
	agent, err := s.agent()
	if err != nil {
		return err
	}
	start, used := time.Now(), processor()
	for range *rounds {
		if err := agent.Update(); err != nil {
			return err
		}
		for _, name := range names {
			if _, err := agent.Lookup(name); err != nil {
				return err
			}
		}
	}
	n := float64(*rounds)
	return printJSON(stdout, cost{(processor() - used).Seconds() / n, time.Since(start).Seconds() / n})
}

// processor is the time that this process has used, whatever else the machine does.
func processor() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
