//go:build cgo && linux

package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Both keys of a threshold of two on one token, or one card: init, status, doctor and
// the review say that it alone meets the threshold.
func TestKeysOnOneDevice(t *testing.T) {
	dir, tok := hsmRepository(t)
	const warning = "2 keys of root are on one device, "
	args := []string{"init", "--path", dir, "--generate", "--root-threshold", "2", "--root-key", tok.URI("root-a"), "--root-key", tok.URI("root-b")}
	if r := must(t, args...); !strings.Contains(r.stderr, warning+"pkcs11:") {
		t.Errorf("init:\n%s", r.stderr)
	}
	must(t, "rotate", "root", "--renew", "--stage-only", "--path", dir)
	for _, device := range []string{"pkcs11:", "piv:serial=15835999"} {
		for _, command := range []string{"status", "doctor", "review"} {
			if r := hsm(t, nil, command, "--path", dir); !strings.Contains(r.stdout+r.stderr, warning+device) {
				t.Errorf("%s: exit %d\n%s%s", command, r.code, r.stdout, r.stderr)
			}
		}
		file := filepath.Join(dir, "fleet-hsm.yaml")
		config, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		places := regexp.MustCompile(`pkcs11:[^"'\s]*object=root-([ab])[^"'\s]*`)
		config = places.ReplaceAll(config, []byte("piv:serial=15835999;slot=9$1"))
		config = []byte(strings.ReplaceAll(string(config), "slot=9b", "slot=9c"))
		if err := os.WriteFile(file, config, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
