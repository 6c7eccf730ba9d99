package main

import (
	"cmp"
	"fmt"
	"io"

	"github.com/theupdateframework/go-tuf/data"
)

// totals counts what `all` checked. Bytes are those of accepted targets.
type totals struct {
	updated
	Count  int   `json:"count"`
	OK     int   `json:"ok"`
	Failed int   `json:"failed"`
	Bytes  int64 `json:"bytes"`
}

func cmdAll(s *setup, args []string, stdout io.Writer) error {
	fs := s.flags("all")
	each := fs.Bool("json-targets", false, "print a line per target before the counts")
	names, err := parse(fs, args, -1)
	if err != nil {
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
	var first, broken error
	check := func(name string, meta data.TargetFileMeta, err error) {
		sum.Count++
		line := printable(name, meta)
		if err != nil {
			sum.Failed++
			line.Error = err.Error()
			first = cmp.Or(first, err)
		} else {
			sum.OK++
			sum.Bytes += meta.Length
		}
		if *each {
			broken = cmp.Or(broken, printJSON(stdout, line))
		}
	}
	err = agent.CheckAll(check)
	for _, name := range names { // what CheckAll does not see: it lies in other roles
		meta, err := agent.Check(name)
		check(name, meta, err)
	}
	if err = cmp.Or(err, broken); err != nil {
		return err
	}
	if err := printJSON(stdout, sum); err != nil {
		return err
	}
	if first != nil {
		return fmt.Errorf("%d of %d targets failed, the first: %w", sum.Failed, sum.Count, first)
	}
	return nil
}
