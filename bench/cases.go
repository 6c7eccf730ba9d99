package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/crypto/scrypt"
)

func (b *bench) initCase() error {
	empty, err := b.folder()
	if err != nil {
		return err
	}
	sides, err := inTurn(b.pairs(false),
		func() (sample, error) { return b.fresh(empty, func(d string) command { return b.onPeer(d, "init") }) },
		func() (sample, error) { return b.fresh(empty, func(d string) command { return b.onOurs(d, "init") }) },
	)
	if err == nil {
		b.add(row{"`init`", sides[0], sides[1]})
	}
	return err
}

// release are the flags of an add to a version and three channels.
func release(file, version string) []string {
	return []string{"add", "--target", file, "--name", "orbit", "--platform", "linux", "--version", version,
		"-t", "bench-a", "-t", "bench-b", "-t", "bench-c"}
}

func (b *bench) bigCase() error {
	file, err := b.file("big", bigFile)
	if err != nil {
		return err
	}
	flat, err := b.generated(0)
	if err != nil {
		return err
	}
	consistent, err := b.folder()
	if err != nil {
		return err
	}
	if _, err := measure(b.onOurs(consistent, "init")); err != nil {
		return err
	}
	args := release(file, "9.0.0")
	sides, err := inTurn(b.pairs(true),
		func() (sample, error) { return b.fresh(flat, func(d string) command { return b.onPeer(d, args...) }) },
		func() (sample, error) {
			return b.fresh(consistent, func(d string) command { return b.onOurs(d, args...) })
		},
		func() (sample, error) { return b.fresh(flat, func(d string) command { return b.onOurs(d, args...) }) },
		func() (sample, error) { return b.reference(file) },
	)
	if err != nil {
		return err
	}
	peer, ours, oursFlat, reference := sides[0], sides[1], sides[2], sides[3]
	b.add(row{"`add` 100 MB, 4 channels (ours: consistent snapshots)", peer, ours})
	b.add(row{"`add` 100 MB, 4 channels (ours: flat layout)", peer, oursFlat})
	b.add(row{"the least work: sha512sum, cp, sync, 3 key unlocks", nil, reference})
	b.bigPeak = max(ours.peak(), oursFlat.peak())
	faster, overhead := ratio(peer, ours), ratio(ours, reference)
	b.aim(faster >= 5, "`add` of 100 MB at least 5 times as fast", "%.1f times", faster)
	b.aim(ours.written() <= 101e6, "at most 101 MB written (consistent)", "%.1f MB", mega(ours.written()))
	b.aim(overhead <= 1.5, "at most 1.5 times the least work", "%.2f times", overhead)
	return nil
}

// reference does what cannot be avoided when a file is published durably: hash it,
// copy it, bring it to disk, and open one key per role that signs.
func (b *bench) reference(file string) (sample, error) {
	dir, err := b.folder()
	if err != nil {
		return sample{}, err
	}
	defer os.RemoveAll(dir)
	script := `sha512sum "$1" >/dev/null && cp "$1" "$2" && sync "$2"`
	s, err := measure(command{path: "sh", args: []string{"-c", script, "sh", file, filepath.Join(dir, "copy")}})
	if err != nil {
		return s, err
	}
	keys, err := measure(command{path: b.self, args: []string{"-unlock", "3"}})
	if err != nil {
		return s, err
	}
	s.wall, s.cpu = s.wall+keys.wall, s.cpu+keys.cpu
	// The shell's own counters say nothing of its children.
	s.written, s.peak = bigFile, 0
	return s, nil
}

// unlock does the work of opening n encrypted key files. It runs in a process of its
// own: what the bench itself holds in memory would count as its children's.
func unlock(n int) error {
	salt := make([]byte, 32)
	rand.Read(salt)
	for range n {
		if _, err := scrypt.Key([]byte("benchmark"), salt, 32768, 8, 1, 32); err != nil {
			return err
		}
	}
	return nil
}

// hugeCase looks at memory only: it must not depend on the size of a file.
func (b *bench) hugeCase() error {
	limit := func(peak int64, what string) {
		b.aim(peak < 128<<20, "peak memory under 128 MB", "%.0f MB for %s", mega(peak), what)
	}
	if b.quick {
		limit(b.bigPeak, "a file of 100 MB")
		return nil
	}
	file, err := b.file("huge", hugeMB*1_000_000)
	if err != nil {
		return err
	}
	defer os.Remove(file)
	dir, err := b.folder()
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if _, err := measure(b.onOurs(dir, "init")); err != nil {
		return err
	}
	s, err := measure(b.onOurs(dir, release(file, "9.0.0")...))
	if err != nil {
		return err
	}
	b.add(row{fmt.Sprintf("`add` %d MB, once", hugeMB), nil, side{s}})
	limit(s.peak, fmt.Sprintf("a file of %d MB", hugeMB))
	return nil
}

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

func (b *bench) rotateCases() error {
	base, err := b.generated(0)
	if err != nil {
		return err
	}
	for _, role := range []string{"root", "targets"} {
		sides, err := inTurn(b.pairs(true),
			func() (sample, error) {
				return b.fresh(base, func(d string) command { return b.onPeer(d, "rotate", role) })
			},
			func() (sample, error) {
				return b.fresh(base, func(d string) command { return b.onOurs(d, "rotate", role) })
			},
		)
		if err != nil {
			return err
		}
		b.add(row{"`rotate " + role + "`", sides[0], sides[1]})
	}
	return nil
}

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
