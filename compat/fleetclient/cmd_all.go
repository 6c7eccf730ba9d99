package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
)

// totals counts what `all` checked. Bytes are those of accepted targets.
type totals struct {
	updated
	Count  int   `json:"count"`
	OK     int   `json:"ok"`
	Failed int   `json:"failed"`
	Bytes  int64 `json:"bytes"`
}

func cmdAll(s setup, args []string, stdout io.Writer) error {
	fs := newFlags("all")
	each := fs.Bool("json-targets", false, "print a line per target before the counts")
	if _, err := arguments(fs, args, 0); err != nil {
		return err
	}
	agent, err := s.agent()
	if err != nil {
		return err
	}
	var sum totals
	if sum.updated, err = update(agent); err != nil {
		return err
	}
	targets, err := agent.Targets()
	if err != nil {
		return err
	}
	sum.Count = len(targets)
	var first error
	for _, name := range slices.Sorted(maps.Keys(targets)) {
		meta, err := agent.Check(name)
		line := printable(name, meta)
		if err != nil {
			sum.Failed++
			line.Error = err.Error()
			first = cmpError(first, err)
		} else {
			sum.OK++
			sum.Bytes += meta.Length
		}
		if *each {
			if err := printJSON(stdout, line); err != nil {
				return err
			}
		}
	}
	if err := printJSON(stdout, sum); err != nil {
		return err
	}
	if first != nil {
		return fmt.Errorf("%d of %d targets failed, the first: %w", sum.Failed, sum.Count, first)
	}
	return nil
}

// cmpError keeps the first of two errors.
func cmpError(first, next error) error {
	if first != nil {
		return first
	}
	return next
}
