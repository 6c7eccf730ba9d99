package main

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/crypto/scrypt"
)

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
