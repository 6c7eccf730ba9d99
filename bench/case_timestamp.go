package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

func (b *bench) timestampCases() error {
	type pair struct{ peer, ours string }
	folders := map[int]pair{}
	for _, n := range []int{0, many} {
		peer, ours, err := b.twins(n)
		if err != nil {
			return err
		}
		folders[n] = pair{peer, ours}
	}
	run := func(build func(string, ...string) command, dir string) func() (sample, error) {
		return func() (sample, error) { return measure(build(dir, "timestamp")) }
	}
	// All four in turn: the goal is a difference of a few milliseconds.
	sides, err := inTurn(b.pairs(false),
		run(b.onPeer, folders[0].peer), run(b.onOurs, folders[0].ours),
		run(b.onPeer, folders[many].peer), run(b.onOurs, folders[many].ours))
	if err != nil {
		return err
	}
	b.add(row{"`timestamp`, 0 targets", sides[0], sides[1]})
	b.add(row{"`timestamp`, 10,000 targets", sides[2], sides[3]})
	var growths []time.Duration
	for i := range sides[1] {
		growths = append(growths, sides[3][i].wall-sides[1][i].wall)
	}
	growth := median(growths)
	b.aim(growth <= 20*time.Millisecond, "`timestamp` at 10,000 targets within 20 ms of its time at 0", "%+.1f ms", float64(growth)/1e6)
	return b.readsTargets(folders[many].ours)
}

// readsTargets watches the files that timestamp opens.
func (b *bench) readsTargets(dir string) error {
	if _, err := exec.LookPath("strace"); err != nil {
		b.notes = append(b.notes, "strace is not installed: whether `timestamp` reads targets.json was not looked at.")
		return nil
	}
	trace := filepath.Join(b.dir, "trace")
	c := b.onOurs(dir, "timestamp")
	c.args = append([]string{"-f", "-e", "trace=open,openat,openat2,read,pread64,mmap", "-y", "-o", trace, c.path}, c.args...)
	c.path = "strace"
	if _, err := measure(c); err != nil {
		return err
	}
	content, err := os.ReadFile(trace)
	if err != nil {
		return err
	}
	opened := 0
	for line := range strings.Lines(string(content)) {
		if strings.Contains(line, "targets.json") && !strings.Contains(line, "ENOENT") {
			opened++
		}
	}
	seen := strings.Contains(string(content), "timestamp.json")
	b.aim(opened == 0 && seen, "`timestamp` does not read targets.json", "%d system calls on it (strace)", opened)
	return nil
}
