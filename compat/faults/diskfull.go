package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// inner is the environment variable that marks the run inside the mount namespace.
const inner = "FLEET_HSM_FAULTS_DISK"

// disk is the class "disk". File systems are mounted in a namespace of their own, by
// this program run once more: whatever happens to it, no mount stays behind.
func (c *campaign) disk(all []*scenario) error {
	if os.Getenv(inner) != "" {
		return c.disksHere(all)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	args := []string{"--tool", c.opts.toolBin, "--peer", c.opts.peerBin, "--only", "disk",
		"--seed", strconv.FormatUint(c.opts.seed, 10), "--work", filepath.Join(c.lab.work, "disk")}
	if c.opts.long {
		args = append(args, "--long")
	}
	if c.opts.verbose {
		args = append(args, "--verbose")
	}
	if c.opts.keep {
		args = append(args, "--keep")
	}
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), inner+"=1")
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS}
	if os.Geteuid() != 0 {
		// Without root: in a user namespace, where the system permits it.
		cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	out, err := cmd.Output()
	c.report.note("%s", strings.TrimSpace(string(out)))
	if err != nil {
		c.report.fail("disk: the run in a mount namespace: %v", err)
	}
	return nil
}

// forDisk: an add in both layouts, and a rotation, which also writes keys.
func forDisk(s *scenario) bool {
	return s.name == "add" || s.name == "rotate targets" && s.consistent
}

func (c *campaign) disksHere(all []*scenario) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("mounting: %w", err)
	}
	var jobs []job
	for _, s := range all {
		for _, room := range rooms(s, c.opts.long) {
			jobs = append(jobs, job{"disk", s, c.lab.fullDisk(s, room, c.bookFull(s, room))})
		}
	}
	return c.each(len(jobs), func(i int) error {
		return c.wreckOn("disk", jobs[i].s, i, jobs[i].f)
	})
}

// rooms gives how many bytes are left on the disk: from nothing to just enough. tmpfs
// counts whole pages and each folder's and file's first page.
func rooms(s *scenario, long bool) []int {
	const page = 4096
	var out []int
	if s.name == "add" {
		// While the target is copied, once or (flat) for each channel.
		shares := []int{0, 3, 5, 9}
		if long {
			shares = []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}
		}
		for _, share := range shares {
			out = append(out, share*sizeNext/4)
		}
	}
	step := 8
	if long {
		step = 1
	}
	// Around the small files: metadata, journal, key files.
	near := 0
	if s.name == "add" {
		near = sizeNext
		if !s.consistent {
			near *= 3
		}
	}
	for pages := 0; pages < 24; pages += step {
		out = append(out, near+pages*page)
	}
	return out
}

// wreckOn is wreck with the repository on a disk of its own.
func (c *campaign) wreckOn(class string, s *scenario, turn int, f fault) error {
	dir := c.scratchDir()
	repo := filepath.Join(dir, "repo")
	for _, d := range []string{dir, repo} {
		if err := os.Mkdir(d, 0o755); err != nil {
			return err
		}
	}
	if err := unix.Mount("tmpfs", repo, "tmpfs", 0, "size=64m"); err != nil {
		return fmt.Errorf("mounting a small disk: %w", err)
	}
	defer func() { _ = unix.Unmount(repo, unix.MNT_DETACH) }()
	v, err := c.lab.tryIn(s, dir, turn, f)
	if err != nil {
		return fmt.Errorf("%s, %s: %w (see %s)", class, s, err, dir)
	}
	c.report.book(class, s, v, dir)
	return nil
}

// fullDisk runs the command with room bytes left, and makes room afterwards.
func (l *lab) fullDisk(s *scenario, room int, book func(code int, said string)) fault {
	return func(dir string) (string, error) {
		var st unix.Statfs_t
		if err := unix.Statfs(dir, &st); err != nil {
			return "", err
		}
		used := int(st.Blocks-st.Bfree) * int(st.Bsize)
		if err := resize(dir, used+room); err != nil {
			return "", err
		}
		res, err := l.tool.run(dir, s.args...)
		if err != nil {
			return "", err
		}
		book(res.code, res.stderr)
		return fmt.Sprintf("with %d bytes left on the disk (exit %d: %s)", room, res.code, oneLine(res.stderr)), resize(dir, 64<<20)
	}
}

func resize(dir string, size int) error {
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT, fmt.Sprintf("size=%d", size)); err != nil {
		return fmt.Errorf("resizing a disk: %w", err)
	}
	return nil
}

func (c *campaign) bookFull(s *scenario, room int) func(int, string) {
	return func(code int, said string) {
		c.report.told("disk", hit{}, code, said)
		switch {
		case code == 0:
		case code != 1:
			c.report.fail("disk: %s with %d bytes left: exit %d: %s", s, room, code, oneLine(said))
		case !strings.Contains(said, "no space left on device") || !strings.Contains(said, "/"):
			c.report.fail("disk: %s with %d bytes left: the error names no file or no cause: %s", s, room, oneLine(said))
		}
	}
}
