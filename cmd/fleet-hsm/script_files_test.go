//go:build linux

package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// treeOf describes everything below dir but the lock, which is no data, and pending/
// itself, which comes with it.
func treeOf(dir string) (string, error) {
	var b strings.Builder
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		st, err := e.Info()
		isLock := strings.HasSuffix(p, filepath.Join("pending", "lock"))
		if err != nil || rel == "pending" || isLock {
			return err
		}
		line := fmt.Sprintf("%s %s", rel, st.Mode())
		if st.Mode().IsRegular() {
			content, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			line += fmt.Sprintf(" %d %x", st.Size(), sha256.Sum256(content))
		}
		b.WriteString(line + "\n")
		return nil
	})
	return b.String(), err
}

func snapshotFile(ts *testscript.TestScript, dir string) string {
	return ts.MkAbs(filepath.Join(".tmp", "snapshot-"+strings.ReplaceAll(dir, "/", "_")))
}

func cmdSnapshot(ts *testscript.TestScript, args []string) {
	need(ts, args, 1, "snapshot DIR")
	tree, err := treeOf(ts.MkAbs(args[0]))
	ts.Check(err)
	ts.Check(os.WriteFile(snapshotFile(ts, args[0]), []byte(tree), 0o600))
}

func cmdUnchanged(ts *testscript.TestScript, args []string) {
	need(ts, args, 1, "unchanged DIR")
	now, err := treeOf(ts.MkAbs(args[0]))
	ts.Check(err)
	if before := ts.ReadFile(snapshotFile(ts, args[0])); before != now {
		ts.Fatalf("%s was changed:\n%s", args[0], difference(before, now))
	}
}

func difference(before, after string) string {
	a, b := strings.Split(before, "\n"), strings.Split(after, "\n")
	var out []string
	for _, line := range a {
		if !slices.Contains(b, line) {
			out = append(out, "- "+line)
		}
	}
	for _, line := range b {
		if !slices.Contains(a, line) {
			out = append(out, "+ "+line)
		}
	}
	return strings.Join(out, "\n")
}

func cmdEdit(ts *testscript.TestScript, args []string) {
	need(ts, args, 3, "edit FILE OLD NEW")
	content := ts.ReadFile(args[0])
	if !strings.Contains(content, args[1]) {
		ts.Fatalf("%s does not hold %q", args[0], args[1])
	}
	st, err := os.Stat(ts.MkAbs(args[0]))
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.ReplaceAll(content, args[1], args[2])), st.Mode()))
}

func statOf(ts *testscript.TestScript, name string) syscall.Stat_t {
	var st syscall.Stat_t
	ts.Check(syscall.Stat(ts.MkAbs(name), &st))
	return st
}

func cmdAlone(ts *testscript.TestScript, args []string) {
	for _, name := range args {
		if n := statOf(ts, name).Nlink; n != 1 {
			ts.Fatalf("%s shares its inode with %d other names", name, n-1)
		}
	}
}

func cmdLinked(ts *testscript.TestScript, args []string) {
	need(ts, args, 2, "linked A B")
	if statOf(ts, args[0]).Ino != statOf(ts, args[1]).Ino {
		ts.Fatalf("%s and %s are two inodes", args[0], args[1])
	}
}

func cmdMode(ts *testscript.TestScript, args []string) {
	need(ts, args, 2, "mode FILE MODE")
	if got := fmt.Sprintf("%04o", statOf(ts, args[0]).Mode&0o777); got != args[1] {
		ts.Fatalf("%s has mode %s, not %s", args[0], got, args[1])
	}
}

func cmdFIFO(ts *testscript.TestScript, args []string) {
	need(ts, args, 1, "fifo FILE")
	ts.Check(unix.Mkfifo(ts.MkAbs(args[0]), 0o644))
}

func cmdBytes(ts *testscript.TestScript, args []string) {
	need(ts, args, 2, "bytes FILE N")
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), bytes.Repeat([]byte{'x', 0, 0xff, '\n'}, n/4+1)[:n], 0o644))
}

// cmdTouching runs `exit` while the modification time of a file never rests.
func cmdTouching(ts *testscript.TestScript, args []string) {
	need(ts, args, 3, "touching FILE N PROGRAM ARG...")
	name := ts.MkAbs(args[0])
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for i := int64(1); ; i++ {
			select {
			case <-stop:
				return
			default:
				at := time.Unix(1_000_000_000+i, 0)
				_ = os.Chtimes(name, at, at)
			}
		}
	}()
	defer func() { close(stop); <-stopped }()
	cmdExit(ts, args[1:])
}
