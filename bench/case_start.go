package main

import (
	"time"
)

func (b *bench) startCases() error {
	sides, err := inTurn(2*b.pairs(false),
		func() (sample, error) { return measure(command{path: b.ours, args: []string{"--version"}}) },
		func() (sample, error) { return measure(command{path: b.ours, args: []string{"--help"}}) },
	)
	if err != nil {
		return err
	}
	for i, name := range []string{"--version", "--help"} {
		b.add(row{"`" + name + "`", nil, sides[i]})
		b.aim(sides[i].wall() < 15*time.Millisecond, "`"+name+"` under 15 ms", "%.1f ms", float64(sides[i].wall())/1e6)
	}
	return nil
}
