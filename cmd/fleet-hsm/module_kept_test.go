//go:build cgo && linux

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/softhsm"
)

// --pkcs11-module given to init is kept with the keys: the next command needs no flag.
// A second module stands with the keys that are on it.
func TestModuleIsKept(t *testing.T) {
	tok := softhsm.New(t)
	dir := t.TempDir()
	pin := "FLEET_TIMESTAMP_PIN=" + tok.PIN
	run := func(args ...string) {
		t.Helper()
		if r := hsm(t, []string{pin}, append(args, "--path", dir, "--no-input")...); r.code != 0 {
			t.Fatalf("%s: exit %d\n%s", args, r.code, r.stderr)
		}
	}
	run("init", "--timestamp-key", tok.URI("timestamp"), "--generate", "--pkcs11-module", tok.Module)
	run("timestamp")
	text := fileText(t, filepath.Join(dir, "fleet-hsm.yaml"))
	if !strings.Contains(text, "module: "+tok.Module) {
		t.Errorf("the module is not in the configuration:\n%s", text)
	}
	lib, err := os.ReadFile(tok.Module)
	if err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(t.TempDir(), "other.so")
	if err := os.WriteFile(other, lib, 0o755); err != nil {
		t.Fatal(err)
	}
	run("rotate", "timestamp", "--key", tok.URI("second"), "--generate", "--pkcs11-module", other)
	run("timestamp")
	text = fileText(t, filepath.Join(dir, "fleet-hsm.yaml"))
	if !strings.Contains(text, "module: "+tok.Module) || !strings.Contains(text, "module-path="+other) {
		t.Errorf("the second module does not stand with its key:\n%s", text)
	}
}

func fileText(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
