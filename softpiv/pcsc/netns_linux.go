package pcsc

import (
	"fmt"
	"net"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// inside runs f on a thread that has joined the network namespace of a process. The
// thread is never used again: it ends with its goroutine, because it stays locked.
func inside(pid int, f func() error) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		result <- func() error {
			ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", pid))
			if err != nil {
				return err
			}
			defer func() { _ = ns.Close() }()
			if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
				return fmt.Errorf("joining the network of process %d: %w", pid, err)
			}
			return f()
		}()
	}()
	return <-result
}

// loopbackUp switches the loopback interface on: it is off in a new namespace.
func loopbackUp(pid int) error {
	return inside(pid, func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer func() { _ = unix.Close(fd) }()
		req, err := unix.NewIfreq("lo")
		if err != nil {
			return err
		}
		if err := unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, req); err != nil {
			return err
		}
		req.SetUint16(req.Uint16() | unix.IFF_UP)
		return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, req)
	})
}

// dialInside connects to a port of 127.0.0.1 in the namespace of a process; the
// connection works from everywhere.
func dialInside(pid, port int) (net.Conn, error) {
	var conn net.Conn
	err := inside(pid, func() error {
		var err error
		conn, err = net.DialTCP("tcp4", nil, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
		return err
	})
	return conn, err
}
