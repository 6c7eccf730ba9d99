package pcsc

import (
	"os"
	"syscall"
)

// restart builds the library and replaces this process by itself, with the library
// in its path. It returns only on failure. The folder is removed by Main.
func restart() error {
	dir, err := os.MkdirTemp(socketRoot(), "softpiv-stub-")
	if err != nil {
		return err
	}
	if err := buildStub(dir); err != nil {
		_ = os.RemoveAll(dir)
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	path := dir
	if old := os.Getenv("LD_LIBRARY_PATH"); old != "" {
		path += ":" + old
	}
	env := append(os.Environ(), "LD_LIBRARY_PATH="+path, envStub+"="+dir)
	return syscall.Exec(self, os.Args, env)
}
