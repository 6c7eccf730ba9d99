//go:build cgo && linux

package pkcs11_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/signer"
	"github.com/fleet-hsm/fleet-hsm/signer/pkcs11"
	"github.com/fleet-hsm/fleet-hsm/signer/signertest"
)

// insideVar says that this process is the one with the private daemon.
const insideVar = "FLEET_HSM_TEST_OPENCRYPTOKI"

// TestOpenCryptoki runs on opencryptoki's soft token. Its daemon and its state are
// the machine's, so the test starts itself again with mounts, shared memory and
// processes of its own; when that ends, the daemon and everything it wrote is gone.
func TestOpenCryptoki(t *testing.T) {
	if os.Getenv(insideVar) != "" {
		openCryptokiInside(t)
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	unshare := []string{"--mount", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc"}
	if out, err := exec.Command("unshare", append(unshare, "true")...).CombinedOutput(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("unshare is not allowed here: %v: %s", err, out)
		}
		t.Skipf("needs root, for namespaces of its own: %v: %s", err, out)
	}
	cmd := exec.Command("unshare", append(unshare, self, "-test.run=^TestOpenCryptoki$", "-test.v", "-test.timeout=5m")...)
	cmd.Env = append(os.Environ(), insideVar+"=1", "TMPDIR="+t.TempDir())
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestOpenCryptoki ") {
		t.Fatalf("%v\n%s", err, out)
	}
}

// privateState gives the daemon folders that nobody else sees.
func privateState(t *testing.T) {
	t.Helper()
	copied := t.TempDir()
	if out, err := exec.Command("cp", "-a", "/var/lib/opencryptoki/.", copied).CombinedOutput(); err != nil {
		t.Fatalf("opencryptoki (Debian package opencryptoki) is not installed: %s", out)
	}
	// A token that somebody set up on this machine is not the one to test with.
	for _, old := range []string{"swtok/NVTOK.DAT", "swtok/MK_SO", "swtok/MK_USER"} {
		os.Remove(filepath.Join(copied, old))
	}
	if err := syscall.Mount(copied, "/var/lib/opencryptoki", "", syscall.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	lock, err := filepath.EvalSymlinks("/var/lock")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"/dev/shm", lock} {
		if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, ""); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("install", "-d", "-g", "pkcs11", "-m", "770", lock+"/opencryptoki", lock+"/opencryptoki/swtok").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

func openCryptokiInside(t *testing.T) {
	modules, _ := filepath.Glob("/usr/lib/*/pkcs11/PKCS11_API.so")
	if len(modules) == 0 {
		t.Fatal("PKCS11_API.so is missing (Debian package opencryptoki)")
	}
	module := modules[0]
	privateState(t)
	noDaemon(t, module)
	daemon := exec.Command("pkcsslotd") // goes to the background
	if out, err := daemon.CombinedOutput(); err != nil {
		t.Fatalf("pkcsslotd: %v: %s", err, out)
	}
	const pin = "1234567"
	setUpMaker(t, module, pin)
	key := rsaKey(t, module, pin)
	t.Run("Suite", func(t *testing.T) {
		signertest.Run(t, signertest.Config{Setup: func(t *testing.T) signertest.Device {
			return signertest.Device{
				Backend: backend(t, module), URI: key.URI, Public: key.Public[0],
				Kind: signer.PIN, Secret: pin, Wrong: "7654321", Missing: parse(t, "pkcs11:token=fleet;object=nobody"),
			}
		}})
	})
	t.Run("NoEC", func(t *testing.T) {
		for _, a := range []signer.Algorithm{signer.P256, signer.Ed25519} {
			_, err := backend(t, module).Generate(t.Context(), signer.Ref{URI: parse(t, "pkcs11:token=fleet;object=ec")}, signer.GenerateOptions{Algorithm: a}, signertest.NewUI(signer.PIN, pin))
			if !errors.Is(err, signer.ErrUnsupported) || !strings.Contains(err.Error(), string(a)) {
				t.Errorf("%s: error is %v, want it refused by name", a, err)
			}
		}
	})
	t.Run("Locks", func(t *testing.T) { locks(t, module, key, pin) })
}

// noDaemon: without its daemon the module answers CKR_HOST_MEMORY, which is about
// anything but memory.
func noDaemon(t *testing.T, module string) {
	t.Helper()
	b := pkcs11.New(pkcs11.Options{Module: module, Timeout: timeout})
	defer b.Close()
	_, err := b.Open(t.Context(), signer.Ref{URI: parse(t, "pkcs11:token=fleet;object=x")}, &signertest.UI{})
	var m *pkcs11.ModuleError
	if !errors.As(err, &m) || m.Code != "module-init" || !strings.Contains(err.Error(), "daemon") {
		t.Errorf("without pkcsslotd: %v", err)
	}
}

// setUpMaker sets up the token that comes with a label and the SO PIN of its maker,
// which must be changed.
func setUpMaker(t *testing.T, module, pin string) {
	t.Helper()
	ui := &signertest.UI{Answers: map[signer.SecretKind]string{
		signer.SOPIN: "87654321", signer.NewSOPIN: "12345678", signer.NewPIN: pin,
	}}
	b := backend(t, module)
	u := parse(t, "pkcs11:token=fleet")
	if _, err := b.Setup(t.Context(), u, signer.SetupOptions{}, ui); !errors.Is(err, signer.ErrAlreadySetUp) {
		t.Errorf("a token with its maker's label was taken without --erase: %v", err)
	}
	made, err := b.Setup(t.Context(), u, signer.SetupOptions{Erase: "IBM OS PKCS#11"}, ui)
	if err != nil {
		t.Fatal(err)
	}
	if made.Label != "fleet" || !made.Initialized {
		t.Errorf("the token is %+v", made)
	}
}

func rsaKey(t *testing.T, module, pin string) signer.Generated {
	t.Helper()
	made, err := backend(t, module).Generate(t.Context(), signer.Ref{URI: parse(t, "pkcs11:token=fleet;object=targets")}, signer.GenerateOptions{Algorithm: signer.RSA2048}, signertest.NewUI(signer.PIN, pin))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("made %s, warnings %q", made.URI, made.Warnings)
	return made
}

// locks: three wrong PINs block a real token; the last try is for a person; an empty
// PIN, which this token counts, never reaches it.
func locks(t *testing.T, module string, key signer.Generated, pin string) {
	try := func(ui *signertest.UI) error {
		b := pkcs11.New(pkcs11.Options{Module: module, Timeout: timeout})
		defer b.Close()
		s, err := b.Open(t.Context(), signer.Ref{URI: key.URI, Pinned: key.Public[0]}, ui)
		if err != nil {
			return err
		}
		_, err = s.Sign(t.Context(), []byte("a message"))
		return err
	}
	for range 4 {
		if err := try(signertest.NewUI(signer.PIN, "")); !errors.Is(err, signer.ErrNoSecret) {
			t.Fatalf("an empty PIN: %v", err)
		}
	}
	if err := try(signertest.NewUI(signer.PIN, "123456789")); !errors.Is(err, signer.ErrPINInvalid) {
		t.Fatalf("a PIN of 9 bytes where 8 are the limit: %v", err)
	}
	if err := try(signertest.NewUI(signer.PIN, pin)); err != nil {
		t.Fatalf("the right PIN after that: %v", err)
	}
	for range 3 {
		wrong := signertest.NewUI(signer.PIN, "7654321")
		wrong.Person = true
		if err := try(wrong); !errors.Is(err, signer.ErrPINIncorrect) && !errors.Is(err, signer.ErrPINLocked) {
			t.Fatalf("a wrong PIN: %v", err)
		}
	}
	if err := try(signertest.NewUI(signer.PIN, pin)); !errors.Is(err, signer.ErrPINLocked) {
		t.Fatalf("a blocked token: %v", err)
	}
}
