// Package quirks builds a PKCS#11 module that stands before SoftHSM, forwards every call,
// and has the quirks of other makers' modules, one per line of its settings: it locks
// PINs, hangs, restarts, answers in other forms, and so on. It counts the calls. The
// next report from the field is one line in a table of tests; README.md lists the lines.
package quirks

import (
	"embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/softhsm"
)

//go:embed testdata
var code embed.FS

// Build makes the library in a folder and returns its path. Tests make it once and
// give each [New] a copy.
func Build(dir string) (string, error) {
	headers, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/miekg/pkcs11").Output()
	if err != nil {
		return "", fmt.Errorf("finding pkcs11.h: %w", err)
	}
	if err := os.CopyFS(dir, code); err != nil {
		return "", err
	}
	lib := filepath.Join(dir, "quirks.so")
	cmd := exec.Command("cc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-Wno-unused-result",
		"-fvisibility=hidden", "-I", strings.TrimSpace(string(headers)),
		"-o", lib, filepath.Join(dir, "testdata", "quirks.c"), "-ldl", "-lpthread")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the forwarding module: %w\n%s", err, out)
	}
	return lib, nil
}

// Module is one copy of the library. Each has a file of its own, so each is a library of
// its own to the loader.
type Module struct {
	Path string
	real string
	t    testing.TB
}

// New puts a module with quirks before the one of a token.
func New(t testing.TB, built string, tok *softhsm.Token, lines ...string) *Module {
	t.Helper()
	lib, err := os.ReadFile(built)
	if err != nil {
		t.Fatal(err)
	}
	m := &Module{Path: filepath.Join(t.TempDir(), "quirks.so"), real: tok.Module, t: t}
	if err := os.WriteFile(m.Path, lib, 0o755); err != nil {
		t.Fatal(err)
	}
	m.Set(lines...)
	return m
}

// Set replaces the quirks, while the module is in use or before.
func (m *Module) Set(lines ...string) {
	m.t.Helper()
	text := "real=" + m.real + "\n" + strings.Join(lines, "\n") + "\n"
	tmp := m.Path + ".new"
	if err := os.WriteFile(tmp, []byte(text), 0o600); err != nil {
		m.t.Fatal(err)
	}
	if err := os.Rename(tmp, m.Path+".conf"); err != nil {
		m.t.Fatal(err)
	}
}

// Calls counts how often a function was called so far, in whatever process. A login for
// one signature counts as C_Login(context).
func (m *Module) Calls(function string) int {
	m.t.Helper()
	log, err := os.ReadFile(m.Path + ".log")
	if err != nil && !os.IsNotExist(err) {
		m.t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(log)) {
		if strings.TrimSpace(line) == function {
			n++
		}
	}
	return n
}
