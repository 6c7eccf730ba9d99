//go:build linux

package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/signer"
	"github.com/fleet-hsm/fleet-hsm/signer/file"
	"github.com/fleet-hsm/fleet-hsm/signer/signertest"
)

// The tests run the tool as people do: a process of its own, with its arguments,
// environment, exit code and, where somebody types, a terminal. The test binary is
// the tool when it is called fleet-hsm (testscript.Main).

// plainUser in the environment makes the tool meet file modes as an ordinary user
// does, although the tests may run as root.
const plainUser = "FLEET_HSM_TEST_PLAIN_USER"

// ownTerminal in the environment says that a test made the terminal that a shell above
// the tool has.
const ownTerminal = "FLEET_HSM_TEST_OWN_TERMINAL"

// realKeys in the environment makes key files cost what they do in earnest, which is
// what fleetctl opens. Without it a passphrase costs nothing: most of the tests' time
// went there.
const realKeys = "FLEET_HSM_TEST_REAL_KEYS"

// cheapFiles opens key files whose passphrase costs nothing.
func cheapFiles() *file.Backend { return file.NewWith("", signertest.CheapEncryption{}) }

func kindsOfTest(real bool) signer.Kinds {
	all := kinds()
	if !real {
		all[0] = file.KindWith(signertest.CheapEncryption{})
	}
	return all
}

// scratch holds what all tests share: the clients and the template repositories.
var scratch string

func TestMain(m *testing.M) {
	testscript.Main(cleaning{m}, map[string]func(){
		"fleet-hsm": tool,
		"smalldisk": smallDisk,
		"bindmount": bindMount,
		"onexfat":   onExFAT,
	})
}

// cleaning removes the shared folder when the tests are over.
type cleaning struct{ m *testing.M }

func (c cleaning) Run() int {
	// What terminals of tests show is compared as text; colours have tests of their own.
	_ = os.Setenv("NO_COLOR", "1")
	var err error
	if scratch, err = os.MkdirTemp("", "fleet-hsm-test-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(scratch) }()
	// What a signer on a store remembers stays out of the developer's own folder.
	if err := os.Setenv("XDG_STATE_HOME", filepath.Join(scratch, "state")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return c.m.Run()
}

func tool() {
	if os.Getenv(plainUser) != "" && os.Geteuid() == 0 {
		dropRootPowers()
	}
	// Whoever runs the tests may sit at a terminal: it is not the tool's. With a
	// terminal of its own the process leads a session already and this does nothing.
	if os.Getenv(ownTerminal) == "" {
		_, _ = syscall.Setsid()
	}
	os.Exit(run(os.Args[1:], clockOfTest(), kindsOfTest(os.Getenv(realKeys) != "")))
}

// dropRootPowers starts the process again without the capabilities that let root
// pass over file modes.
func dropRootPowers() {
	runtime.LockOSThread()
	for _, c := range []uintptr{unix.CAP_DAC_OVERRIDE, unix.CAP_DAC_READ_SEARCH} {
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); err != nil {
			panic(err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	if err := os.Unsetenv(plainUser); err != nil {
		panic(err)
	}
	panic(syscall.Exec(self, os.Args, os.Environ()))
}

// later compiles a pattern when a test asks for it: thousands of times this binary starts
// as the tool.
func later(pattern string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(pattern) })
}

// secretOf is the passphrase of a role in every test. It must never show anywhere.
func secretOf(role string) string { return "correct-horse-" + role }

// secretEnv gives the variables that hold the passphrases.
func secretEnv() []string {
	var env []string
	for _, role := range meta.Roles() {
		env = append(env, "FLEET_"+strings.ToUpper(role)+"_PASSPHRASE="+secretOf(role))
	}
	return env
}

// shows gives a secret that stands in s, or "".
func shows(s string) string {
	for _, mark := range []string{"correct-horse", "PRIVATE KEY"} {
		if strings.Contains(s, mark) {
			return mark
		}
	}
	return ""
}

// result is what one run of the tool did.
type result struct {
	code           int
	stdout, stderr string
}

// hsm runs the tool with the passphrases in its environment.
func hsm(t testing.TB, env []string, args ...string) result {
	t.Helper()
	cmd := exec.Command("fleet-hsm", args...)
	cmd.Env = append(append(os.Environ(), secretEnv()...), env...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if s := shows(out.String() + errOut.String()); s != "" {
		t.Fatalf("%q shows a secret (%s)", args, s)
	}
	return result{cmd.ProcessState.ExitCode(), out.String(), errOut.String()}
}

// must runs the tool and wants success.
func must(t testing.TB, args ...string) result {
	t.Helper()
	r := hsm(t, nil, args...)
	if r.code != 0 {
		t.Fatalf("fleet-hsm %s: exit %d\n%s", strings.Join(args, " "), r.code, r.stderr)
	}
	return r
}

// template makes a repository of a layout once; tests work on copies.
func template(layout string) (string, error) {
	make, ok := templates[layout]
	if !ok {
		return "", fmt.Errorf("no template %q", layout)
	}
	return make()
}

var templates = map[string]func() (string, error){
	"consistent": sync.OnceValues(func() (string, error) { return makeTemplate("consistent") }),
	"flat":       sync.OnceValues(func() (string, error) { return makeTemplate("flat", "--consistent-snapshot=false") }),
	"fleetctl":   sync.OnceValues(makeFleetctl),
}

func makeTemplate(layout string, flags ...string) (string, error) {
	dir := filepath.Join(scratch, layout)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", err
	}
	cmd := exec.Command("fleet-hsm", append([]string{"init", "--path", dir}, flags...)...)
	cmd.Env = append(os.Environ(), secretEnv()...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("init: %w\n%s", err, out)
	}
	return dir, nil
}

// makeFleetctl makes a repository with fleetctl's own calls.
func makeFleetctl() (string, error) {
	bin, err := clients()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(scratch, "fleetctl")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", err
	}
	file := filepath.Join(scratch, "orbit-linux")
	if err := os.WriteFile(file, []byte("#!/bin/sh\necho from fleetctl\n"), 0o644); err != nil {
		return "", err
	}
	for _, args := range [][]string{
		{"init"},
		{"add", "--target", file, "--name", "orbit", "--platform", "linux", "--version", "1.0.0", "-t", "stable", "-t", "edge"},
	} {
		cmd := exec.Command(filepath.Join(bin, "fleetctl-peer"), append([]string{"--path", dir}, args...)...)
		cmd.Env = append(os.Environ(), secretEnv()...)
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("fleetctl-peer %v: %w\n%s", args, err, out)
		}
	}
	return dir, nil
}

// clients builds the client inside Fleet's agents, those of later go-tuf and the
// stand-in for fleetctl, once, and gives the folder they are in. It is the same at each
// run: the go command links only what has changed since.
var clients = sync.OnceValues(func() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	here, err := os.Getwd()
	if err != nil {
		return "", err
	}
	bin := filepath.Join(cache, "fleet-hsm", fmt.Sprintf("clients-%x", sha256.Sum256([]byte(here))))
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return "", err
	}
	for _, b := range []struct{ name, module, pkg string }{
		{"fleetclient", "fleetclient", "."}, {"fleetctl-peer", "fleetclient", "./cmd/fleetctl-peer"},
		{"client07", "client07", "."}, {"clientv2", "clientv2", "."},
	} {
		cmd := exec.Command("go", "build", "-o", filepath.Join(bin, b.name), b.pkg)
		cmd.Dir = filepath.Join("..", "..", "compat", b.module)
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("building %s: %w\n%s", b.name, err, out)
		}
	}
	return bin, nil
})

// copyRepo gives a test its own copy of a template.
func copyRepo(t testing.TB, layout string) string {
	t.Helper()
	from, err := template(layout)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "r")
	if err := copyTree(from, dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// copyTree copies a folder with its modes.
func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, p)
		if err != nil {
			return err
		}
		st, err := e.Info()
		if err != nil {
			return err
		}
		dst := filepath.Join(to, rel)
		if e.IsDir() {
			if err := os.MkdirAll(dst, 0o755); err != nil {
				return err
			}
			return os.Chmod(dst, st.Mode().Perm())
		}
		b, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		if err := os.WriteFile(dst, b, 0o600); err != nil {
			return err
		}
		return os.Chmod(dst, st.Mode().Perm())
	})
}

// write makes a file in a temporary folder of the test.
func write(t testing.TB, name, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(content), 0o755); err != nil {
		t.Fatal(err)
	}
	return file
}
