//go:build linux

// Package localkms runs local-kms, a server with the API of AWS KMS, for tests, with the
// plug-in that reaches it (plugins/sigstore-kms-aws).
//
// local-kms listens on every address of its machine, so it gets a network of its own, in
// which there is nobody else. What reaches it is a proxy on the loopback of the test, which
// can answer in its place ([Server.Answer]): throttled, denied, not at all. Its keys are in
// a folder, and outlive [Server.Restart].
package localkms

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Server is a KMS.
type Server struct {
	// Plugins is the folder that holds sigstore-kms-aws.
	Plugins string

	program, data string
	proxy         *httptest.Server

	mu     sync.Mutex
	cmd    *exec.Cmd
	answer func(operation string) (code string)
}

// Start builds and runs one; it ends with the test. It takes root, for the network.
func Start(t testing.TB) *Server {
	t.Helper()
	dir := t.TempDir()
	s := &Server{Plugins: filepath.Join(dir, "plugins"), data: filepath.Join(dir, "keys")}
	bin, err := programs()
	if err == nil {
		s.program = filepath.Join(bin, "local-kms")
		err = os.MkdirAll(s.Plugins, 0o755)
	}
	if err == nil {
		err = exec.Command("cp", filepath.Join(bin, "sigstore-kms-aws"), s.Plugins).Run()
	}
	if err == nil {
		err = s.run()
	}
	if err != nil {
		t.Fatal(err)
	}
	s.proxy = httptest.NewServer(s.handler())
	t.Cleanup(func() {
		s.proxy.Close()
		s.stop()
	})
	return s
}

// programs builds local-kms and the plug-in, and gives the folder they are in. It is the same
// at each run: the go command links only what has changed since.
func programs() (string, error) {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", err
	}
	top := filepath.Dir(strings.TrimSpace(string(out)))
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	bin := filepath.Join(cache, "fleet-hsm", fmt.Sprintf("localkms-%x", sha256.Sum256([]byte(top))))
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return "", err
	}
	// Tests of several packages build at the same time; the later ones find it done.
	lock, err := os.OpenFile(filepath.Join(bin, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return "", err
	}
	defer func() { _ = lock.Close() }()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return "", err
	}
	if err := build(filepath.Join(top, "compat", "localkms"), filepath.Join(bin, "local-kms"), "github.com/nsmithuk/local-kms"); err != nil {
		return "", err
	}
	return bin, build(filepath.Join(top, "plugins", "sigstore-kms-aws"), filepath.Join(bin, "sigstore-kms-aws"), ".")
}

func build(dir, into, pkg string) error {
	cmd := exec.Command("go", "build", "-o", into, pkg)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s: %w: %s", pkg, err, out)
	}
	return nil
}

// port is that of local-kms in its own network.
const port = "8080"

func (s *Server) run() error {
	cmd := exec.Command(s.program)
	cmd.Env = []string{"PORT=" + port, "KMS_DATA_PATH=" + s.data, "KMS_SEED_PATH=" + s.data + ".none"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if err := cmd.Start(); err != nil {
		return err
	}
	s.mu.Lock()
	s.cmd = cmd
	s.mu.Unlock()
	if err := inside(cmd.Process.Pid, loopbackUp); err != nil {
		return err
	}
	for range 500 {
		if c, err := s.dial(context.Background(), "", ""); err == nil {
			return c.Close()
		}
		time.Sleep(20 * time.Millisecond)
	}
	return fmt.Errorf("local-kms does not listen")
}

func (s *Server) stop() {
	s.mu.Lock()
	cmd := s.cmd
	s.cmd = nil
	s.mu.Unlock()
	if cmd != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
}

// Restart ends the server and begins another with the same keys; nobody answers meanwhile.
func (s *Server) Restart(t testing.TB, pause time.Duration) {
	t.Helper()
	s.stop()
	time.Sleep(pause)
	if err := s.run(); err != nil {
		t.Error(err)
	}
}

// inside does something in the network of a process.
func inside(pid int, do func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with this goroutine
		f, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", pid))
		if err == nil {
			defer func() { _ = f.Close() }()
			err = unix.Setns(int(f.Fd()), unix.CLONE_NEWNET)
		}
		if err == nil {
			err = do()
		}
		done <- err
	}()
	return <-done
}

func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo)
}

// dial reaches local-kms.
func (s *Server) dial(ctx context.Context, _, _ string) (c net.Conn, err error) {
	s.mu.Lock()
	cmd := s.cmd
	s.mu.Unlock()
	if cmd == nil {
		return nil, syscall.ECONNREFUSED
	}
	inner := inside(cmd.Process.Pid, func() error {
		c, err = (&net.Dialer{}).DialContext(ctx, "tcp", "127.0.0.1:"+port)
		return err
	})
	return c, inner
}

// Answer has f asked before each request: with a code of AWS's ("ThrottlingException") it
// is the answer, with "hang up" there is none, with "" local-kms answers. Nil for nobody.
func (s *Server) Answer(f func(operation string) (code string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = f
}

func (s *Server) handler() http.Handler {
	p := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: "127.0.0.1:" + port})
	p.Transport = &http.Transport{DialContext: s.dial, DisableKeepAlives: true}
	p.ErrorHandler = func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		answer := s.answer
		s.mu.Unlock()
		code := ""
		if answer != nil {
			_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
			code = answer(operation)
		}
		switch code {
		case "":
			p.ServeHTTP(w, r)
		case "hang up":
			panic(http.ErrAbortHandler)
		default:
			w.Header().Set("Content-Type", "application/x-amz-json-1.1")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = fmt.Fprintf(w, `{"__type":%q,"message":"said by the test"}`, code)
		}
	})
}

// Env is what the plug-in needs in its environment.
func (s *Server) Env() []string {
	return []string{
		"AWS_ENDPOINT_URL_KMS=" + s.proxy.URL, "AWS_REGION=eu-west-2", "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test",
		"AWS_EC2_METADATA_DISABLED=true", "AWS_MAX_ATTEMPTS=1", "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null",
	}
}
