package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// call says where a system call's paths and descriptors stand among its arguments.
type call struct {
	name string
	// path: argument numbers of paths, each behind its folder's descriptor if at.
	paths []int
	at    bool
	// fd is the argument number of a descriptor, -1 without.
	fd int
}

// watched are the calls that change or open files, by number on this machine.
func watched() map[uint64]call {
	onFD := func(name string) call { return call{name: name, fd: 0} }
	onPath := func(name string, at bool, paths ...int) call { return call{name: name, fd: -1, at: at, paths: paths} }
	return map[uint64]call{
		unix.SYS_RENAME:          onPath("rename", false, 0, 1),
		unix.SYS_RENAMEAT:        onPath("rename", true, 1, 3),
		unix.SYS_RENAMEAT2:       onPath("rename", true, 1, 3),
		unix.SYS_LINK:            onPath("link", false, 0, 1),
		unix.SYS_LINKAT:          onPath("link", true, 1, 3),
		unix.SYS_UNLINK:          onPath("unlink", false, 0),
		unix.SYS_UNLINKAT:        onPath("unlink", true, 1),
		unix.SYS_MKDIR:           onPath("mkdir", false, 0),
		unix.SYS_MKDIRAT:         onPath("mkdir", true, 1),
		unix.SYS_OPENAT:          onPath("open", true, 1),
		unix.SYS_WRITE:           onFD("write"),
		unix.SYS_PWRITE64:        onFD("write"),
		unix.SYS_FSYNC:           onFD("fsync"),
		unix.SYS_FDATASYNC:       onFD("fsync"),
		unix.SYS_FTRUNCATE:       onFD("truncate"),
		unix.SYS_FLOCK:           onFD("flock"),
		unix.SYS_FCHMOD:          onFD("chmod"),
		unix.SYS_SYNC_FILE_RANGE: onFD("sync_file_range"),
		unix.SYS_COPY_FILE_RANGE: {name: "copy_file_range", fd: 2},
		unix.SYS_SENDFILE:        {name: "sendfile", fd: 0},
	}
}

// tracer runs one command and is asked of every watched call.
type tracer struct {
	decide func(hit) act
	pid    int
	calls  map[uint64]call
	// failing is the error that a thread's present call will give.
	failing map[int]syscall.Errno
	known   map[int]bool
}

// trace runs cmd under ptrace(2), in all its threads. It gives the exit code, -1 if a
// signal ended it.
func trace(cmd *exec.Cmd, decide func(hit) act) (int, error) {
	// All ptrace requests have to come from the thread that started the process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// A process group of its own, so that waiting cannot reap another worker's child.
	cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true, Setpgid: true}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	t := &tracer{decide: decide, pid: cmd.Process.Pid, calls: watched(), failing: map[int]syscall.Errno{}, known: map[int]bool{}}
	code, err := t.loop()
	if err != nil {
		_ = unix.Kill(t.pid, unix.SIGKILL)
	}
	_ = cmd.Process.Release()
	return code, err
}

func (t *tracer) loop() (int, error) {
	var status unix.WaitStatus
	if _, err := unix.Wait4(t.pid, &status, 0, nil); err != nil {
		return 0, fmt.Errorf("waiting for the start: %w", err)
	}
	opts := unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACEFORK |
		unix.PTRACE_O_TRACEVFORK | unix.PTRACE_O_EXITKILL
	if err := unix.PtraceSetOptions(t.pid, opts); err != nil {
		return 0, fmt.Errorf("ptrace: %w", err)
	}
	t.known[t.pid] = true
	tid, sig := t.pid, 0
	for {
		// ESRCH: the thread was killed meanwhile; its end is reported by wait.
		if err := unix.PtraceSyscall(tid, sig); err != nil && !errors.Is(err, unix.ESRCH) {
			return 0, fmt.Errorf("ptrace: %w", err)
		}
		var code int
		var ended bool
		var err error
		if tid, sig, code, ended, err = t.next(); err != nil || ended {
			return code, err
		}
	}
}

// next waits for a thread to stop, deals with the stop, and says with which signal
// the thread is to go on.
func (t *tracer) next() (tid, sig, code int, ended bool, err error) {
	for {
		var status unix.WaitStatus
		tid, err = unix.Wait4(-t.pid, &status, unix.WALL|unix.WNOTHREAD, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return 0, 0, 0, false, fmt.Errorf("wait: %w", err)
		}
		switch {
		case status.Exited() && tid == t.pid:
			return tid, 0, status.ExitStatus(), true, nil
		case status.Signaled() && tid == t.pid:
			return tid, 0, -1, true, nil
		case !status.Stopped():
			continue
		}
		sig, err := t.stop(tid, status)
		return tid, sig, 0, false, err
	}
}

func (t *tracer) stop(tid int, status unix.WaitStatus) (int, error) {
	first := !t.known[tid]
	t.known[tid] = true
	switch sig := status.StopSignal(); {
	case sig == unix.SIGTRAP|0x80:
		err := t.syscall(tid)
		if errors.Is(err, unix.ESRCH) {
			err = nil
		}
		return 0, err
	case sig == unix.SIGTRAP, first && sig == unix.SIGSTOP:
		return 0, nil // an event, or a new thread's first stop
	default:
		return int(sig), nil
	}
}

// callInfo is struct ptrace_syscall_info.
type callInfo struct {
	op     uint8
	_      [3]uint8
	arch   uint32
	ip, sp uint64
	nr     uint64
	args   [6]uint64
	_      uint64
}

const (
	opEntry = 1
	opExit  = 2
)

func (t *tracer) syscall(tid int) error {
	var info callInfo
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_GET_SYSCALL_INFO, uintptr(tid),
		unsafe.Sizeof(info), uintptr(unsafe.Pointer(&info)), 0, 0)
	if errno != 0 {
		return errno
	}
	if info.op == opExit {
		return t.exit(tid)
	}
	c, ok := t.calls[info.nr]
	if info.op != opEntry || !ok {
		return nil
	}
	do := t.decide(t.describe(tid, c, info.args))
	if do.kill {
		// A process that is killed in a stop before a call does not make the call.
		return unix.Kill(t.pid, unix.SIGKILL)
	}
	if do.errno == 0 {
		return nil
	}
	t.failing[tid] = do.errno
	return setRegs(tid, func(r *unix.PtraceRegs) { r.Orig_rax = ^uint64(0) })
}

func (t *tracer) exit(tid int) error {
	errno, ok := t.failing[tid]
	if !ok {
		return nil
	}
	delete(t.failing, tid)
	return setRegs(tid, func(r *unix.PtraceRegs) { r.Rax = uint64(-int64(errno)) })
}

func setRegs(tid int, change func(*unix.PtraceRegs)) error {
	var regs unix.PtraceRegs
	if err := unix.PtraceGetRegs(tid, &regs); err != nil {
		return err
	}
	change(&regs)
	return unix.PtraceSetRegs(tid, &regs)
}

func (t *tracer) describe(tid int, c call, args [6]uint64) hit {
	h := hit{call: c.name}
	if c.fd >= 0 {
		h.paths = append(h.paths, fdPath(tid, int32(args[c.fd])))
		return h
	}
	for _, n := range c.paths {
		dir := int32(unix.AT_FDCWD)
		if c.at {
			dir = int32(args[n-1])
		}
		h.paths = append(h.paths, fullPath(tid, dir, readString(tid, uintptr(args[n]))))
	}
	return h
}

func fdPath(tid int, fd int32) string {
	p, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", tid, fd))
	if err != nil {
		return "?"
	}
	return p
}

func fullPath(tid int, dir int32, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	if dir != unix.AT_FDCWD {
		return filepath.Join(fdPath(tid, dir), path)
	}
	cwd, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", tid))
	if err != nil {
		return path
	}
	return filepath.Join(cwd, path)
}

func readString(tid int, addr uintptr) string {
	buf := make([]byte, 4096)
	// A read ends at an unmapped page; the string may well stand before it.
	n, err := unix.ProcessVMReadv(tid,
		[]unix.Iovec{{Base: &buf[0], Len: uint64(len(buf))}},
		pages(addr, len(buf)), 0)
	if err != nil {
		return "?"
	}
	if end := bytes.IndexByte(buf[:n], 0); end >= 0 {
		return string(buf[:end])
	}
	return "?"
}

// pages cuts a range at page borders, since a remote read is all or nothing by part.
func pages(addr uintptr, n int) []unix.RemoteIovec {
	const page = 4096
	first := page - int(addr%page)
	parts := []unix.RemoteIovec{{Base: addr, Len: first}}
	if first < n {
		parts = append(parts, unix.RemoteIovec{Base: addr + uintptr(first), Len: n - first})
	}
	return parts
}
