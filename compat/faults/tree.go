package main

import (
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// copyTree copies a folder with modes; files that share an inode share one in the
// copy too.
func copyTree(from, to string) error {
	inodes := map[uint64]string{}
	return filepath.WalkDir(from, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		dst := to + strings.TrimPrefix(path, from)
		info, err := e.Info()
		if err != nil {
			return err
		}
		if e.IsDir() {
			if err := os.MkdirAll(dst, 0o700); err != nil {
				return err
			}
			return os.Chmod(dst, info.Mode().Perm())
		}
		st := info.Sys().(*syscall.Stat_t)
		if other, ok := inodes[st.Ino]; ok && st.Nlink > 1 {
			return os.Link(other, dst)
		}
		inodes[st.Ino] = dst
		return copyFile(path, dst, info.Mode().Perm())
	})
}

func copyFile(from, to string, mode fs.FileMode) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	if _, err := io.Copy(dst, src); err != nil {
		dst.Close()
		return err
	}
	return dst.Close()
}

// hashTree gives the SHA-512 (hex) of every file below dir, by slash path.
func hashTree(dir string) (map[string]string, error) {
	sums := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		sums[filepath.ToSlash(rel)], err = hashFile(path)
		return err
	})
	return sums, err
}

func hashFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha512.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// leftovers names what no command may leave behind once it has held the lock.
func leftovers(dir string) ([]string, error) {
	var found []string
	for _, sub := range []string{"keys", "repository", "pending"} {
		err := filepath.WalkDir(filepath.Join(dir, sub), func(path string, e fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil {
				return err
			}
			rel, _ := filepath.Rel(dir, path)
			if strings.Contains(e.Name(), tempMark) || isWorkFile(dir, rel) {
				found = append(found, rel)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}

// age makes temporary files an hour old: whoever mends a wreck comes later. Younger
// ones beside keys may belong to a command that runs.
func age(dir string) error {
	return filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || !strings.Contains(e.Name(), tempMark) {
			return err
		}
		then := time.Now().Add(-time.Hour)
		return os.Chtimes(path, then, then)
	})
}

// tempMark is in the name of every temporary file of fleet-hsm.
const tempMark = ".fleet-hsm-tmp-"

// isWorkFile tells what belongs to a command that still runs. Staged content may
// stay as long as a staged change does.
func isWorkFile(dir, rel string) bool {
	switch rel {
	case "pending/journal", "pending/commit":
		return true
	case "pending/content":
		_, err := os.Stat(filepath.Join(dir, "pending/change.json"))
		return err != nil
	}
	return strings.HasPrefix(rel, "pending/content/tmp-")
}

func exists(parts ...string) bool {
	_, err := os.Lstat(filepath.Join(parts...))
	return err == nil
}

// randomFile writes size bytes that depend on seed alone.
func randomFile(path string, size int, seed byte) error {
	data := make([]byte, 0, size+64)
	block := sha512.Sum512([]byte{seed})
	for len(data) < size {
		data = append(data, block[:]...)
		block = sha512.Sum512(block[:])
	}
	if err := os.WriteFile(path, data[:size], 0o644); err != nil {
		return fmt.Errorf("making a target: %w", err)
	}
	return nil
}
