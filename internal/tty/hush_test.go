//go:build linux

package tty

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestMain is also the program that the test starts at a terminal of its own.
func TestMain(m *testing.M) {
	if os.Getenv("TTY_TEST_HUSH") == "" {
		os.Exit(m.Run())
	}
	t, err := Open()
	if err != nil {
		panic(err)
	}
	giveBack := t.Hush()
	fmt.Println("waiting")
	time.Sleep(500 * time.Millisecond)
	giveBack()
	line, err := t.Line(context.Background(), "next: ")
	fmt.Printf("read %q %v\n", line, err)
}

// TestHush: what is typed while the terminal is hushed is not shown, and is not the next
// answer; afterwards what is typed is shown again.
func TestHush(t *testing.T) {
	t.Parallel()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "TTY_TEST_HUSH=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = slave.Close()
	var seen strings.Builder
	buf := make([]byte, 1024)
	until := func(text string) {
		for !strings.Contains(seen.String(), text) {
			n, err := master.Read(buf)
			seen.Write(buf[:n])
			if err != nil && !errors.Is(err, io.EOF) {
				break
			}
		}
	}
	until("waiting")
	_, _ = master.WriteString("424242\n")
	until("next: ")
	_, _ = master.WriteString("shown\n")
	until("read ")
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	until("\nnever")
	if s := seen.String(); strings.Contains(s, "424242") || !strings.Contains(s, "next: shown") || !strings.Contains(s, `read "shown"`) {
		t.Errorf("the terminal shows %q", s)
	}
}
