package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const verifyFiles = 10

// verifySize is the size of each file: 10 GB in all.
func (b *bench) verifySize() int64 {
	if b.quick {
		return 100 << 20
	}
	return 1 << 30
}

// sparse makes a file of zeros behind a few bytes of its own; it takes no room, so that
// the disk is not what is measured.
func (b *bench) sparse(i int) (string, error) {
	file := filepath.Join(b.dir, fmt.Sprintf("sparse-%d", i))
	if err := os.WriteFile(file, fmt.Appendf(nil, "file %04d", i), 0o644); err != nil {
		return "", err
	}
	return file, os.Truncate(file, b.verifySize())
}

// largeFolder publishes the files in three channels each, and puts the sparse files in
// the place of the copies.
func (b *bench) largeFolder() (dir string, files []string, err error) {
	if dir, err = b.folder(); err != nil {
		return "", nil, err
	}
	if _, err := measure(b.onOurs(dir, "init")); err != nil {
		return "", nil, err
	}
	for i := range verifyFiles {
		file, err := b.sparse(i)
		if err != nil {
			return "", nil, err
		}
		files = append(files, file)
		_, err = measure(b.onOurs(dir, "add", "--target", file, "--name", fmt.Sprintf("large%d", i), "--platform", "linux",
			"--version", "1.0.0", "-t", "edge", "-t", "stable"))
		if err == nil {
			err = replaceBy(file, filepath.Join(dir, "repository", "targets", fmt.Sprintf("large%d", i)))
		}
		if err != nil {
			return "", nil, err
		}
	}
	return dir, files, nil
}

// replaceBy makes every file below a folder a hard link of another one.
func replaceBy(file, below string) error {
	return filepath.WalkDir(below, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		if err := os.Remove(path); err != nil {
			return err
		}
		return os.Link(file, path)
	})
}

func (b *bench) verifyCase() error {
	dir, files, err := b.largeFolder()
	if err != nil {
		return err
	}
	run := func(workers int) func() (sample, error) {
		return func() (sample, error) {
			return measure(b.onOurs(dir, "verify", "--all-targets", "--workers", fmt.Sprint(workers)))
		}
	}
	sides, err := inTurn(min(b.pairs(true), 3), run(1), run(2),
		func() (sample, error) { return measure(command{path: "sha512sum", args: files}) })
	if err != nil {
		return err
	}
	one, two, sum := sides[0], sides[1], sides[2]
	total := b.verifySize() * verifyFiles
	size := fmt.Sprintf("%.1f GB", float64(total)/1e9)
	b.add(row{"`verify --all-targets`, " + size + " in 10 files under 30 names, one worker", nil, one})
	b.add(row{"the same, two workers", nil, two})
	b.add(row{"`sha512sum` over the 10 files", nil, sum})
	read := two.read()
	b.aim(read >= total && read < total+total/100, "each distinct content is read once", "%.3f GB read of %s", float64(read)/1e9, size)
	busy := ratio(one, two)
	b.aim(busy >= 1.7, "two workers at least 1.7 times as fast as one", "%.2f times; `sha512sum` takes %.2f times as long as two workers, %.2f times as long as one",
		busy, ratio(sum, two), ratio(sum, one))
	return b.notWrong(dir)
}

// notWrong: what was measured was a repository without a finding.
func (b *bench) notWrong(dir string) error {
	c := b.onOurs(dir, "verify", "--json")
	out, err := output(c)
	if err != nil {
		return err
	}
	if !strings.Contains(out, `"ok":true`) || !strings.Contains(out, `"targets":30`) {
		return fmt.Errorf("verify says %s", out)
	}
	return nil
}
