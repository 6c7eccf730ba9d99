//go:build unix

package verify_test

import (
	"os"
	"syscall"
)

// fifo replaces a file by a FIFO that nobody writes to.
func fifo(m *maker, name string) {
	os.Remove(m.path(name))
	if err := syscall.Mkfifo(m.path(name), 0o644); err != nil {
		panic(err)
	}
}
