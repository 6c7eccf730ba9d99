package main

import (
	"errors"
	"fmt"
	"os"
	"time"
)

// twins makes one folder per side with n targets.
func (b *bench) twins(n int) (peer, ours string, err error) {
	if peer, err = b.generated(n); err != nil {
		return "", "", err
	}
	ours, err = b.clone(peer)
	return peer, ours, err
}

func (b *bench) smallCases() error {
	file, err := b.file("small", 4096)
	if err != nil {
		return err
	}
	walls := map[int]time.Duration{}
	for _, n := range []int{0, many} {
		onPeer, onOurs, err := b.twins(n)
		if err != nil {
			return err
		}
		// Every run adds one more version to the same folder.
		next := func() []string { b.n++; return release(file, fmt.Sprintf("9.0.%d", b.n)) }
		sides, err := inTurn(b.pairs(n > 0),
			func() (sample, error) { return measure(b.onPeer(onPeer, next()...)) },
			func() (sample, error) { return measure(b.onOurs(onOurs, next()...)) },
		)
		if err != nil {
			return err
		}
		b.add(row{fmt.Sprintf("`add` 4 KiB, 4 channels, %s targets", thousands(n)), sides[0], sides[1]})
		walls[n] = sides[1].wall()
		if n == many {
			faster := ratio(sides[0], sides[1])
			b.aim(faster >= 8, "`add` into 10,000 targets at least 8 times as fast", "%.1f times", faster)
		}
		if err := errors.Join(os.RemoveAll(onPeer), os.RemoveAll(onOurs)); err != nil {
			return err
		}
	}
	growth := walls[many] - walls[0]
	b.aim(growth < 250*time.Millisecond, "growth of `add` from 0 to 10,000 targets under 0.25 s", "%.3f s", growth.Seconds())
	return nil
}
