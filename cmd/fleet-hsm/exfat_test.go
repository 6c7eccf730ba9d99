//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// onExFAT is a program for scripts: onexfat IMAGE OPTIONS MOUNTPOINT PROGRAM ARG... runs
// the program where an exFAT file system is mounted, which keeps no modes, has no links
// and does not tell upper from lower case. It is made if IMAGE is not there, and what is
// on it stays for the next run. The exit code is the program's. Needs root.
func onExFAT() {
	args := os.Args[1:]
	code, err := mounted(args[0], args[1], args[2], args[3:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "onexfat:", err)
		os.Exit(99)
	}
	os.Exit(code)
}

func mounted(image, options, at string, command []string) (code int, err error) {
	if err := makeExFAT(image); err != nil {
		return 0, err
	}
	loop, err := output("losetup", "--find", "--show", image)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, exec.Command("losetup", "--detach", loop).Run()) }()
	// The driver ends with the mount.
	if _, err := output("mount.exfat-fuse", "-o", options, loop, at); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, syscall.Unmount(at, 0)) }()
	return runInside(exec.Command(command[0], command[1:]...))
}

func makeExFAT(image string) error {
	if _, err := os.Stat(image); err == nil {
		return nil
	}
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		return err
	}
	if err := os.Truncate(image, 16<<20); err != nil {
		return err
	}
	_, err := output("mkfs.exfat", image)
	return err
}

func output(name string, args ...string) (string, error) {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	// losetup prints the device alone.
	return strings.TrimSpace(string(out)), nil
}
