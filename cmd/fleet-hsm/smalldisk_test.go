//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// smallDisk is a program for scripts: smalldisk SIZE FROM MOUNTPOINT PROGRAM ARG...
// mounts a memory disk of SIZE in a mount namespace of its own (so nothing stays
// behind), copies the folder FROM onto it, runs the program, and fails unless what
// was published there is still what it was. Its exit code is the program's.
func smallDisk() {
	code, err := onSmallDisk(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "smalldisk:", err)
		os.Exit(99)
	}
	os.Exit(code)
}

// bindMount is a program for scripts: bindmount DIR PROGRAM ARG... runs the program
// where DIR is a mount of its own, though of the same file system, as the volumes of
// a container are.
func bindMount() {
	code, err := enterNamespace()
	if os.Getenv(insideMark) != "" {
		dir := os.Args[1]
		if err = privateMounts(); err == nil {
			err = syscall.Mount(dir, dir, "", syscall.MS_BIND, "")
		}
		if err == nil {
			code, err = runInside(exec.Command(os.Args[2], os.Args[3:]...))
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bindmount:", err)
		os.Exit(99)
	}
	os.Exit(code)
}

func privateMounts() error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making mounts private: %w", err)
	}
	return nil
}

const insideMark = "FLEET_HSM_TEST_INSIDE"

func onSmallDisk(args []string) (int, error) {
	if os.Getenv(insideMark) == "" {
		return enterNamespace()
	}
	size, from, at := args[0], args[1], args[2]
	if err := privateMounts(); err != nil {
		return 0, err
	}
	if err := syscall.Mount("tmpfs", at, "tmpfs", 0, "size="+size); err != nil {
		return 0, fmt.Errorf("mounting: %w", err)
	}
	if err := copyTree(from, at); err != nil {
		return 0, err
	}
	before, err := treeOf(at)
	if err != nil {
		return 0, err
	}
	code, err := runInside(exec.Command(args[3], args[4:]...))
	if err != nil {
		return 0, err
	}
	after, err := treeOf(at)
	if err != nil {
		return 0, err
	}
	if code != 0 && before != after {
		return 0, fmt.Errorf("something was left on the disk:\n%s", difference(before, after))
	}
	return code, nil
}

// enterNamespace runs this program again where it may mount: root may in a mount
// namespace, others in a user namespace of their own too.
func enterNamespace() (int, error) {
	if os.Getenv(insideMark) != "" {
		return 0, nil
	}
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	cmd := exec.Command(self)
	cmd.Args = os.Args
	cmd.Env = append(os.Environ(), insideMark+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	return runInside(cmd)
}

func runInside(cmd *exec.Cmd) (int, error) {
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return 0, err
	}
	return cmd.ProcessState.ExitCode(), nil
}
