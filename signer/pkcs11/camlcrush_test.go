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
)

// camlCrushConfig serves one Unix socket; the argument is its folder.
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

// newProxy puts Caml Crush before a token: a filtering proxy between PKCS#11 modules and
// those who use them, with a client library of its own and errors of its own for a
// connection that is gone.
func newProxy(t *testing.T) *server {
	t.Helper()
	clients, _ := filepath.Glob("/usr/lib/*/caml-crush/libp11clientunix.so")
	if len(clients) == 0 {
		t.Fatal("libp11clientunix.so is missing (Debian package caml-crush-clients)")
	}
	p := newServer(t, clients[0])
	if err := os.Mkdir(filepath.Join(p.dir, "netplex"), 0o700); err != nil {
		t.Fatal(err)
	}
	config := inFile(t, p.dir, "proxy.conf", fmt.Sprintf(camlCrushConfig, p.dir))
	inFile(t, p.dir, "filter.conf", fmt.Sprintf("debug = 0\nmodules = [(\"softhsm\", %q)]\nlog_subchannel = filter\n", p.Token.Module))
	p.command = []string{"pkcs11proxyd", "-conf", config, "-fg"}
	t.Setenv("PKCS11PROXY_LIBNAME", "softhsm")
	t.Setenv("PKCS11PROXY_SOCKET_PATH", p.socket())
	p.up()
	return p
}

func inFile(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
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

func proxied(t *testing.T, p *server, limit time.Duration) (signer.Signer, *signertest.UI) {
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
func camlCrushDown(t *testing.T, p *server) {
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
	pin := inFile(t, p.dir, "pin", p.PIN+"\n")
	cmd := exec.Command(os.Args[0], p.URI(string(signer.P256)), pin)
	cmd.Env = append(os.Environ(), oneShotVar+"="+p.client)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("a new process: %v\n%s", err, out)
	}
}

func camlCrushStalled(t *testing.T, p *server) {
	s, _ := proxied(t, p, 2*time.Second)
	p.signal(syscall.SIGSTOP)
	refuses(t, s, signer.ErrDeadline)
	refuses(t, s, signer.ErrDeadline)
	p.signal(syscall.SIGCONT)
	waitFor(t, func() bool { _, err := s.Sign(t.Context(), []byte("a message")); return err == nil })
	signs(t, s)
}
