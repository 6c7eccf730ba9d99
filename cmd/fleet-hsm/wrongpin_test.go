//go:build cgo && linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/softhsm/quirks"
)

// wrongPIN is a published repository whose timestamp key is on a token behind a module
// with quirks, and whose PIN source holds a wrong PIN.
func wrongPIN(t *testing.T) (dir, store string, m *quirks.Module, right func()) {
	t.Helper()
	dir, store, m, right, _ = wrongPINs(t)
	return dir, store, m, right
}

// wrongPINs is wrongPIN with a way to change the PIN in the source.
func wrongPINs(t *testing.T) (dir, store string, m *quirks.Module, right func(), write func(pin string)) {
	t.Helper()
	dir, tok := hsmRepository(t)
	store = "file://" + filepath.Join(t.TempDir(), "served")
	must(t, "init", "--path", dir, "--timestamp-key", tok.URI("timestamp"), "--generate", "--expires", "timestamp=300h")
	must(t, "publish", "--path", dir, store)
	lib, err := quirks.Build(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	m = quirks.New(t, lib, tok)
	pin := filepath.Join(t.TempDir(), "pin")
	write = func(text string) {
		if err := os.WriteFile(pin, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("wrong-pin")
	config, err := os.ReadFile(filepath.Join(dir, "fleet-hsm.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer(tok.Module, m.Path, tok.PINFile(), pin).Replace(string(config))
	if err := os.WriteFile(filepath.Join(dir, "fleet-hsm.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir, store, m, func() { write(tok.PIN) }, write
}

// A command offers a wrong PIN once, whatever the module answers. (Every answer stands in
// a test of signer/pkcs11.)
func TestCommandOffersAWrongPINOnce(t *testing.T) {
	dir, _, m, _ := wrongPIN(t)
	for _, code := range []string{"0x5", "0x30", "0xa0", "0xb3", "0x101", "0x102", "0x80000321"} {
		m.Set("wrong_pin_code=" + code)
		before := m.Calls("C_Login")
		r := hsm(t, nil, "timestamp", "--path", dir, "--no-input")
		if n := m.Calls("C_Login") - before; n != 1 || r.code != exitSecret {
			t.Errorf("%s: %d C_Login and exit %d, want 1 and %d\n%s", code, n, r.code, exitSecret, r.stderr)
		}
	}
}

// Nor does the online signer, however many checks go by, until the source has another one.
func TestOnlineOffersAWrongPINOnce(t *testing.T) {
	for _, code := range []string{"0x5", "0x80000321"} {
		t.Run(code, func(t *testing.T) {
			dir, store, m, right := wrongPIN(t)
			m.Set("wrong_pin_code=" + code)
			log := filepath.Join(t.TempDir(), "log")
			cmd := exec.Command("sh", "-c", fmt.Sprintf(`exec fleet-hsm online --path "$0" --store "$1" --interval 100ms --renew-before 320h --listen "" --no-input 2>%q`, log), dir, store)
			cmd.Env = append(os.Environ(), secretEnv()...)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = cmd.Process.Signal(os.Interrupt); _ = cmd.Wait() }()
			failures := func() int {
				text, _ := os.ReadFile(log)
				return strings.Count(string(text), "PIN")
			}
			eventually(t, log, func() bool { return failures() >= 4 })
			if n := m.Calls("C_Login"); n != 1 {
				t.Errorf("%d C_Login in at least four checks, want one", n)
			}
			right()
			eventually(t, log, func() bool {
				text, _ := os.ReadFile(log)
				return strings.Contains(string(text), `"version":2`)
			})
			if n := m.Calls("C_Login"); n != 2 {
				t.Errorf("%d C_Login when the source has the right PIN, want two", n)
			}
		})
	}
}

// TestOnlineOffersEachWrongPINOnce: one process, and a source that has another wrong PIN for
// each answer of the module: each is offered once, however many checks follow. The long form
// has every answer from 0x1 to 0x203.
func TestOnlineOffersEachWrongPINOnce(t *testing.T) {
	step := uint64(23)
	if long() {
		step = 1
	}
	codes := []uint64{0x5, 0x6, 0x30, 0xa0, 0xa4, 0xb3, 0x100, 0x101, 0x102, 0x80000000, 0x80000321, 0x8000000000000005, 1<<31 - 1}
	for code := uint64(1); code <= 0x203; code += step {
		codes = append(codes, code)
	}
	dir, store, m, _, write := wrongPINs(t)
	log := filepath.Join(t.TempDir(), "log")
	m.Set(fmt.Sprintf("wrong_pin_code=%#x", codes[0]))
	write("wrong-0")
	cmd := exec.Command("sh", "-c", fmt.Sprintf(`exec fleet-hsm online --path "$0" --store "$1" --interval 20ms --renew-before 320h --listen "" --no-input 2>%q`, log), dir, store)
	cmd.Env = append(os.Environ(), secretEnv()...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Signal(os.Interrupt); _ = cmd.Wait() }()
	failures := func() int {
		text, _ := os.ReadFile(log)
		return strings.Count(string(text), `"level":"ERROR"`)
	}
	for i, code := range codes {
		logins, checks := i, failures()
		if i > 0 {
			m.Set(fmt.Sprintf("wrong_pin_code=%#x", code))
			write(fmt.Sprintf("wrong-%d", i))
		}
		eventually(t, log, func() bool { return m.Calls("C_Login") > logins && failures() >= checks+3 })
		if n := m.Calls("C_Login"); n != logins+1 {
			t.Fatalf("%#x: %d C_Login, want one", code, n-logins)
		}
	}
}

func eventually(t *testing.T, log string, happened func() bool) {
	t.Helper()
	for end := time.Now().Add(waiting); !happened(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			text, _ := os.ReadFile(log)
			t.Fatalf("it never happened; the log:\n%s", text)
		}
	}
}
