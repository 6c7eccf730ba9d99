// Package s3test starts a real S3 server (versitygw, posix backend) on loopback for
// tests, in a temporary folder, and stops it by its process id. The binary is built
// once by compat/s3server/build.sh and cached.
//
// [Server.Behind] puts one [Fault] in front of it: a rule of a bucket, or what a proxy or
// gateway does. A report from the field becomes one function in faults.go, and one line
// in the table of store's TestFaults, which wants that publish and a probe name it.
package s3test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// AccessKey and SecretKey are the credentials of every test server.
const (
	AccessKey = "fleet-hsm-test"
	SecretKey = "fleet-hsm-test-secret"
)

// Bucket is the bucket that every test server starts with.
const Bucket = "updates"

// Server is a running S3 server.
type Server struct {
	// Addr is HOST:PORT on loopback.
	Addr string
	// Dir is where the bucket's objects lie as files, below Bucket.
	Dir string

	bin string
	cmd *exec.Cmd
	log *lockedBuffer
}

// binary builds the server at the first call of the process.
var binary = sync.OnceValues(func() (string, error) {
	_, here, _, _ := runtime.Caller(0)
	script := filepath.Join(filepath.Dir(here), "..", "..", "compat", "s3server", "build.sh")
	out, err := exec.Command(script).Output()
	if err != nil {
		return "", fmt.Errorf("building the S3 server: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
})

// Start starts a server with an empty bucket; it is stopped when the test ends.
func Start(t testing.TB) *Server {
	t.Helper()
	bin, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{bin: bin, Dir: t.TempDir()}
	t.Cleanup(s.Stop)
	if err := s.startAnywhere(); err != nil {
		t.Fatal(err)
	}
	s.makeBucket(t)
	return s
}

// startAnywhere looks for a free port; another process may take it before the server
// does, so it tries again.
func (s *Server) startAnywhere() error {
	var err error
	for range 5 {
		if s.Addr, err = freeAddr(); err != nil {
			return err
		}
		if err = s.Restart(); err == nil {
			return nil
		}
	}
	return err
}

func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String(), nil
}

// Restart starts the server again on its address, after Stop.
func (s *Server) Restart() error {
	s.log = &lockedBuffer{}
	// Not --keep-alive: after it has refused a PUT without reading its body, it takes
	// the body for the next request on the connection.
	s.cmd = exec.Command(s.bin, "--port", s.Addr, "--access", AccessKey, "--secret", SecretKey,
		"--health", "/health", "--quiet", "posix", s.Dir)
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	s.cmd.Env = []string{"HOME=" + s.Dir, "PATH=" + os.Getenv("PATH")}
	// The server must not outlive a test process that is killed.
	s.cmd.SysProcAttr = dieWithParent()
	exited, err := startOnThread(s.cmd)
	if err != nil {
		return err
	}
	deadline := time.After(30 * time.Second)
	for {
		if s.healthy() {
			return nil
		}
		select {
		case <-exited:
			return fmt.Errorf("S3 server on %s ended: %s", s.Addr, s.log)
		case <-deadline:
			s.Stop()
			return fmt.Errorf("S3 server on %s does not answer: %s", s.Addr, s.log)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// startOnThread starts a process from a thread of its own, which stays until the process
// has ended: the death signal comes with the thread that started it, not with the
// process, and other tests end threads (softpiv/pcsc, to leave a network namespace).
func startOnThread(cmd *exec.Cmd) (exited <-chan struct{}, err error) {
	started, ended := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(ended)
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
	}()
	return ended, <-started
}

func (s *Server) healthy() bool {
	resp, err := http.Get("http://" + s.Addr + "/health")
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// Stop ends the server at once. It is idempotent.
func (s *Server) Stop() {
	if s.cmd == nil || s.cmd.Process == nil {
		return
	}
	_ = s.cmd.Process.Signal(syscall.SIGKILL)
	for s.healthy() {
		time.Sleep(time.Millisecond)
	}
	s.cmd = nil
}

func (s *Server) makeBucket(t testing.TB) {
	t.Helper()
	c, err := minio.New(s.Addr, &minio.Options{Creds: credentials.NewStaticV4(AccessKey, SecretKey, ""), Region: "us-east-1"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := c.MakeBucket(ctx, Bucket, minio.MakeBucketOptions{}); err != nil {
		t.Fatal(err)
	}
}

// URL is a store URL of the server, for a prefix that may be empty.
func (s *Server) URL(prefix string) string {
	if prefix != "" {
		prefix = "/" + prefix
	}
	return "s3://" + Bucket + prefix + "?endpoint=http://" + s.Addr + "&region=us-east-1"
}

// Env is what a process needs to write to the server.
func Env() []string {
	return []string{"AWS_ACCESS_KEY_ID=" + AccessKey, "AWS_SECRET_ACCESS_KEY=" + SecretKey}
}

// Setenv gives the credentials to this process. Call it from TestMain, so that tests
// can run in parallel.
func Setenv() {
	for _, kv := range Env() {
		k, v, _ := strings.Cut(kv, "=")
		_ = os.Setenv(k, v)
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
