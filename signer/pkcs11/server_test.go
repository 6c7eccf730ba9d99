//go:build cgo

package pkcs11_test

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/softhsm"
)

// server stands between a module's client library and a SoftHSM token, on a Unix socket:
// a network HSM in small.
type server struct {
	*softhsm.Token
	client  string // path of the client library
	dir     string // of the socket, "s"; a socket's path must be short
	command []string
	t       *testing.T
	running *exec.Cmd
}

func newServer(t *testing.T, client string) *server {
	t.Helper()
	dir, err := os.MkdirTemp("", "hsm")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &server{Token: softhsm.New(t), client: client, dir: dir, t: t}
	t.Cleanup(s.down)
	return s
}

func (s *server) socket() string { return s.dir + "/s" }

// up starts the server and waits for its socket.
func (s *server) up() {
	s.t.Helper()
	s.running = exec.Command(s.command[0], s.command[1:]...)
	s.running.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // it forks one process for each connection
	if err := s.running.Start(); err != nil {
		s.t.Fatalf("%s: %v", s.command[0], err)
	}
	waitFor(s.t, func() bool { _, err := os.Stat(s.socket()); return err == nil })
}

func (s *server) signal(sig syscall.Signal) {
	if err := syscall.Kill(-s.running.Process.Pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		s.t.Errorf("signal to the server: %v", err)
	}
}

// down ends the server and its connections.
func (s *server) down() {
	if s.running == nil {
		return
	}
	s.signal(syscall.SIGKILL)
	_ = s.running.Wait()
	os.Remove(s.socket())
	s.running = nil
}
