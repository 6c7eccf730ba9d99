//go:build cgo && linux

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestErasedTokenHoldsRoot: the token that goes has another label than the one that it
// gets, or the same. Where root or the configuration names a key on it, no flag is enough;
// a person types its serial number. (Cards: testdata/yubikey/destroy.txtar.)
func TestErasedTokenHoldsRoot(t *testing.T) {
	dir, tok := hsmRepository(t)
	must(t, "init", "--path", dir, "--root-key", tok.URI("root"), "--generate")
	config := filepath.Join(dir, "fleet-hsm.yaml")
	whole, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	before, _, ok := strings.Cut(string(whole), "keys:")
	if !ok {
		t.Fatalf("no places in\n%s", whole)
	}
	elsewhere := filepath.Join(t.TempDir(), "repository")
	erase := func(label string, args ...string) []string {
		return append([]string{"token", "setup", "pkcs11:token=" + label, "--erase", tok.Label, "--path", dir,
			"--so-pin-source", "file:" + tok.SOPINFile(), "--new-pin-source", "file:" + tok.PINFile()}, args...)
	}
	for name, c := range map[string]struct {
		config string
		moved  bool // the repository is not there
	}{
		"both name it":                 {string(whole), false},
		"root names it":                {before, false},
		"the configuration names it":   {string(whole), true},
		"the configuration, by serial": {strings.ReplaceAll(string(whole), "token="+tok.Label+";", "serial="+tokensHere(t, tok)[0].Serial+";"), true},
	} {
		if err := os.WriteFile(config, []byte(c.config), 0o600); err != nil {
			t.Fatal(err)
		}
		if c.moved {
			check(t, os.Rename(filepath.Join(dir, "repository"), elsewhere))
		}
		for _, label := range []string{"new", tok.Label} {
			for _, flags := range [][]string{nil, {"--yes", "--no-input"}} {
				if r := hsm(t, nil, erase(label, flags...)...); r.code != exitRefused || !strings.Contains(r.stderr, "would destroy key ") {
					t.Errorf("%s, %s %q: exit %d\n%s", name, label, flags, r.code, r.stderr)
				}
			}
		}
		if c.moved {
			check(t, os.Rename(elsewhere, filepath.Join(dir, "repository")))
		}
	}
	check(t, os.WriteFile(config, whole, 0o600))
	must(t, "doctor", "--sign", "--path", dir, tok.URI("root"))
	serial := tokensHere(t, tok)[0].Serial
	for _, c := range []struct {
		typed string
		code  int
	}{{tok.Label, exitRefused}, {"yes", exitRefused}, {serial, exitOK}} {
		cmd := exec.Command("fleet-hsm", erase("new", "--yes")...)
		cmd.Env = append(os.Environ(), ownTerminal+"=1")
		_, shown, err := atDesk(cmd, nil, []string{"expect could not sign root any more. Type " + serial + " to go on:", "type " + c.typed})
		if shown == "" {
			t.Fatal(err)
		}
		if code := cmd.ProcessState.ExitCode(); code != c.code {
			t.Errorf("typed %q: exit %d, want %d\n%s", c.typed, code, c.code, shown)
		}
	}
	if r := hsm(t, nil, "doctor", "--sign", "--path", dir, tok.URI("root")); r.code == 0 {
		t.Error("a key on a token that was erased signs")
	}
}
