//go:build cgo && linux

package pkcs11_test

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/signer"
	"github.com/fleet-hsm/fleet-hsm/signer/signertest"
)

// A TPM behind tpm2-pkcs11: software (swtpm), with the resource manager (tpm2-abrmd)
// without which the second key does not fit, on a bus of its own.

const tpmPIN = "userpin1"

// tpmToken starts it all and gives the module, which has one token "fleet".
func tpmToken(t *testing.T) string {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/*/libtpm2_pkcs11.so.1")
	if len(found) == 0 {
		t.Fatal("libtpm2_pkcs11.so.1 is missing (Debian package libtpm2-pkcs11-1)")
	}
	dir := t.TempDir()
	port := twoPorts(t)
	background(t, "swtpm", "socket", "--tpm2", "--tpmstate", "dir="+dir,
		"--server", fmt.Sprintf("type=tcp,port=%d,bindaddr=127.0.0.1", port),
		"--ctrl", fmt.Sprintf("type=tcp,port=%d,bindaddr=127.0.0.1", port+1), "--flags", "not-need-init,startup-clear")
	waitFor(t, func() bool { return listens(port + 1) })
	bus := "unix:path=" + filepath.Join(dir, "bus")
	background(t, "dbus-daemon", "--session", "--nofork", "--nopidfile", "--address="+bus)
	waitFor(t, func() bool { _, err := os.Stat(filepath.Join(dir, "bus")); return err == nil })
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", bus)
	background(t, "tpm2-abrmd", "--session", "--allow-root", "--max-transients=100", fmt.Sprintf("--tcti=swtpm:host=127.0.0.1,port=%d", port))
	for _, name := range []string{"TPM2TOOLS_TCTI", "TPM2_PKCS11_TCTI"} {
		t.Setenv(name, "tabrmd:bus_type=session")
	}
	store := filepath.Join(dir, "store")
	t.Setenv("TPM2_PKCS11_STORE", store)
	t.Setenv("TPM2_PKCS11_LOG_LEVEL", "0")
	if err := os.Mkdir(store, 0o700); err != nil {
		t.Fatal(err)
	}
	// A wrong PIN counts for the whole TPM, and three lock it.
	waitFor(t, func() bool {
		return exec.Command("tpm2_dictionarylockout", "--setup-parameters", "--max-tries=100").Run() == nil
	})
	for _, args := range [][]string{
		{"init", "--path", store},
		{"addtoken", "--pid=1", "--sopin=sopin123", "--userpin=" + tpmPIN, "--label=fleet", "--path", store},
	} {
		if out, err := exec.Command("tpm2_ptool", args...).CombinedOutput(); err != nil {
			t.Fatalf("tpm2_ptool %s: %v\n%s", args[0], err, out)
		}
	}
	return found[0]
}

// twoPorts finds two free ports in a row: swtpm's users take the second for granted.
func twoPorts(t *testing.T) int {
	t.Helper()
	for range 100 {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		next, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", port+1))
		_ = l.Close()
		if err == nil {
			_ = next.Close()
			return port
		}
	}
	t.Fatal("no two free ports in a row")
	return 0
}

// listens looks into the kernel's table: a connection would be swtpm's only one.
func listens(port int) bool {
	table, err := os.ReadFile("/proc/net/tcp")
	return err == nil && strings.Contains(string(table), fmt.Sprintf("0100007F:%04X 00000000:0000 0A", port))
}

// background runs a daemon until the test ends.
func background(t *testing.T, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s:\n%s", name, &out)
		}
	})
}

func TestTPM(t *testing.T) {
	module := tpmToken(t)
	made := map[string]signer.Generated{}
	for label, a := range map[string]signer.Algorithm{"targets": signer.P256, "timestamp": signer.P256, "rsa": signer.RSA2048} {
		var err error
		made[label], err = backend(t, module).Generate(t.Context(), signer.Ref{URI: parse(t, "pkcs11:token=fleet;object="+label)},
			signer.GenerateOptions{Algorithm: a}, signertest.NewUI(signer.PIN, tpmPIN))
		if err != nil {
			t.Fatalf("generating %s: %v", label, err)
		}
	}
	for first, second := range map[string]string{"targets": "timestamp", "rsa": "targets"} {
		t.Run(first, func(t *testing.T) {
			signertest.Run(t, signertest.Config{Setup: func(t *testing.T) signertest.Device {
				return signertest.Device{
					Backend: backend(t, module),
					URI:     parse(t, "pkcs11:token=fleet;object="+first), Public: made[first].Public[0],
					Second: parse(t, "pkcs11:token=fleet;object="+second), SecondPublic: made[second].Public[0],
					Kind: signer.PIN, Secret: tpmPIN, Wrong: "wrong-pin",
					Missing: parse(t, "pkcs11:token=fleet;object=nobody"),
				}
			}})
		})
	}
}
