//go:build cgo

package pkcs11_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/signer"
	"github.com/fleet-hsm/fleet-hsm/signer/pkcs11"
	"github.com/fleet-hsm/fleet-hsm/signer/signertest"
	"github.com/fleet-hsm/fleet-hsm/softhsm"
)

// proxy is a SoftHSM token behind Caml Crush, a filtering proxy between PKCS#11 modules
// and those who use them: a client library of its own, a process for each connection, and
// errors of its own for a connection that is gone.
type proxy struct {
	*softhsm.Token
	client string // path of libp11clientunix.so
	dir    string
	t      *testing.T
	server *exec.Cmd
}

// camlCrushConfig serves one Unix socket; the arguments are its folder, twice.
const camlCrushConfig = `netplex {
  controller { max_level = "err"; socket_directory = "%[1]s/netplex"; logging { type = "stderr"; }; };
  service {
    name = "PKCS#11 Filtering Proxy";
    conn_limit = 1;
    protocol { name = "rpc_pkcs11"; address { type = "local"; path = "%[1]s/s"; }; };
    processor { type = "rpc_pkcs11"; filter_config = "%[1]s/filter.conf"; use_ssl = false; };
    workload_manager { type = "dynamic"; max_jobs_per_thread = 1; min_free_jobs_capacity = 1; max_free_jobs_capacity = 1; max_threads = 100; };
  }
}
`

func newProxy(t *testing.T) *proxy {
	t.Helper()
	clients, _ := filepath.Glob("/usr/lib/*/caml-crush/libp11clientunix.so")
	if len(clients) == 0 {
		t.Fatal("libp11clientunix.so is missing (Debian package caml-crush-clients)")
	}
	dir, err := os.MkdirTemp("", "crush") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	p := &proxy{Token: softhsm.New(t), client: clients[0], dir: dir, t: t}
	p.write("proxy.conf", fmt.Sprintf(camlCrushConfig, dir))
	p.write("filter.conf", fmt.Sprintf("debug = 0\nmodules = [(\"softhsm\", %q)]\nlog_subchannel = filter\n", p.Token.Module))
	t.Setenv("PKCS11PROXY_LIBNAME", "softhsm")
	t.Setenv("PKCS11PROXY_SOCKET_PATH", p.socket())
	p.up()
	t.Cleanup(p.down)
	return p
}

func (p *proxy) socket() string { return filepath.Join(p.dir, "s") }

func (p *proxy) write(name, text string) {
	p.t.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

func (p *proxy) up() {
	p.t.Helper()
	if err := os.MkdirAll(filepath.Join(p.dir, "netplex"), 0o700); err != nil {
		p.t.Fatal(err)
	}
	p.server = exec.Command("pkcs11proxyd", "-conf", filepath.Join(p.dir, "proxy.conf"), "-fg")
	p.server.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // it forks one process for each connection
	if err := p.server.Start(); err != nil {
		p.t.Fatalf("pkcs11proxyd (Debian package caml-crush-server): %v", err)
	}
	waitFor(p.t, func() bool { _, err := os.Stat(p.socket()); return err == nil })
}

func (p *proxy) signal(s syscall.Signal) {
	if err := syscall.Kill(-p.server.Process.Pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
		p.t.Errorf("signal to the proxy: %v", err)
	}
}

// down ends the proxy and its connections.
func (p *proxy) down() {
	if p.server == nil {
		return
	}
	p.signal(syscall.SIGKILL)
	_ = p.server.Wait()
	os.Remove(p.socket())
	os.RemoveAll(filepath.Join(p.dir, "netplex"))
	p.server = nil
}

// The client library knows one server in a process, so all of this is one test.
func TestCamlCrush(t *testing.T) {
	p := newProxy(t)
	for _, a := range []signer.Algorithm{signer.P256, signer.RSA2048, signer.Ed25519} {
		t.Run(string(a), func(t *testing.T) {
			made, err := backend(t, p.client).Generate(t.Context(), signer.Ref{URI: parse(t, p.URI(string(a)))}, signer.GenerateOptions{Algorithm: a}, person(p.Token))
			if err != nil {
				t.Fatal(err)
			}
			signertest.Run(t, signertest.Config{Setup: func(t *testing.T) signertest.Device {
				return signertest.Device{
					Backend: backend(t, p.client), URI: parse(t, p.URI(string(a))), Public: made.Public[0],
					Kind: signer.PIN, Secret: p.PIN, Wrong: "wrong-pin", Missing: parse(t, p.URI("nobody")),
				}
			}})
		})
	}
	t.Run("ServerStalled", func(t *testing.T) { camlCrushStalled(t, p) })
	t.Run("ServerDown", func(t *testing.T) { camlCrushDown(t, p) })
}

func proxied(t *testing.T, p *proxy, limit time.Duration) (signer.Signer, *signertest.UI) {
	t.Helper()
	b := pkcs11.New(pkcs11.Options{Module: p.client, Timeout: limit})
	t.Cleanup(func() { b.Close() })
	ui := person(p.Token)
	s := opened(t, b, signer.Ref{URI: parse(t, p.URI(string(signer.P256)))}, ui)
	signs(t, s)
	return s, ui
}

// Its client library never connects a second time in one process, whatever is called.
// That it cannot be reached is all that can be said here; a new process signs.
func camlCrushDown(t *testing.T, p *proxy) {
	s, ui := proxied(t, p, timeout)
	p.down()
	p.up()
	for range 2 {
		if err := refuses(t, s, signer.ErrUnreachable); errors.Is(err, signer.ErrNoToken) {
			t.Errorf("a connection that is gone is not a token that is gone: %v", err)
		}
	}
	if n := len(ui.Secrets()); n != 1 {
		t.Errorf("asked %d times for the PIN, want once", n)
	}
	pin := filepath.Join(p.dir, "pin")
	p.write("pin", p.PIN+"\n")
	cmd := exec.Command(os.Args[0], p.URI(string(signer.P256)), pin)
	cmd.Env = append(os.Environ(), oneShotVar+"="+p.client)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("a new process: %v\n%s", err, out)
	}
}

func camlCrushStalled(t *testing.T, p *proxy) {
	s, _ := proxied(t, p, 2*time.Second)
	p.signal(syscall.SIGSTOP)
	refuses(t, s, signer.ErrDeadline)
	refuses(t, s, signer.ErrDeadline)
	p.signal(syscall.SIGCONT)
	waitFor(t, func() bool { _, err := s.Sign(t.Context(), []byte("a message")); return err == nil })
	signs(t, s)
}
