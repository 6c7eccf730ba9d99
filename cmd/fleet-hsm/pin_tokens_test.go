//go:build cgo && linux

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/keyring"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/softhsm"
)

// twoOfOneLabel is a repository whose root needs both of two tokens, which have one
// label, each its own serial number and PIN.
func twoOfOneLabel(t *testing.T) (dir string, tok *softhsm.Token, serials []string) {
	t.Helper()
	tok = softhsm.NewWith(t, softhsm.Options{Label: "twin", PIN: "111111"})
	serials = append(serials, tokensHere(t, tok)[0].Serial)
	tok.PIN = "222222"
	if err := tok.AddToken("twin"); err != nil {
		t.Fatal(err)
	}
	for _, e := range tokensHere(t, tok) {
		if e.Serial != serials[0] {
			serials = append(serials, e.Serial)
		}
	}
	if len(serials) != 2 {
		t.Fatalf("tokens: %q", serials)
	}
	dir = t.TempDir()
	args := []string{"init", "--path", dir, "--pkcs11-module", tok.Module, "--generate", "--root-threshold", "2"}
	config := "secrets:\n"
	for i, serial := range serials {
		pin := filepath.Join(t.TempDir(), "pin")
		if err := os.WriteFile(pin, []byte([]string{"111111", "222222"}[i]), 0o600); err != nil {
			t.Fatal(err)
		}
		config += fmt.Sprintf("  \"pkcs11:serial=%s\": \"file:%s\"\n", serial, pin)
		args = append(args, "--root-key", fmt.Sprintf("pkcs11:token=twin;serial=%s;object=root", serial))
	}
	file := filepath.Join(dir, "fleet-hsm.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	must(t, args...)
	// From now on nothing says which PIN is whose.
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, keys, ok := strings.Cut(string(data), "keys:")
	if !ok {
		t.Fatalf("init kept no places:\n%s", data)
	}
	if err := os.WriteFile(file, []byte("keys:"+keys), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir, tok, serials
}

func tokensHere(t *testing.T, tok *softhsm.Token) []keyring.TokenEntry {
	t.Helper()
	var res tokensResult
	out := must(t, "token", "list", "pkcs11:token="+tok.Label, "--json", "--path", t.TempDir(), "--pkcs11-module", tok.Module).stdout
	if err := json.Unmarshal([]byte(out), &res); err != nil {
		t.Fatal(err)
	}
	return res.Tokens
}

// One source of a PIN is never offered to two tokens, whatever their labels are: exit 2
// names both, and neither has lost a try.
func TestOnePINOneToken(t *testing.T) {
	dir, tok, serials := twoOfOneLabel(t)
	file := filepath.Join(dir, "fleet-hsm.yaml")
	places, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pin := filepath.Join(t.TempDir(), "pin")
	if err := os.WriteFile(pin, []byte("111111"), 0o600); err != nil {
		t.Fatal(err)
	}
	both := map[string]string{}
	for _, s := range serials {
		both["pkcs11:serial="+s] = "file:" + pin
	}
	quoted, err := json.Marshal(both)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		config string
		env    []string
		args   []string
	}{
		"variable":                      {string(places), []string{"FLEET_ROOT_PIN=111111"}, nil},
		"variable, places not known":    {"", []string{"FLEET_ROOT_PIN=111111"}, nil},
		"--pin-source":                  {string(places), nil, []string{"--pin-source", "file:" + pin}},
		"--pin-source, places unknown":  {"", nil, []string{"--pin-source", "file:" + pin}},
		"secrets: by their one label":   {string(places) + "secrets: {\"pkcs11:token=twin\": \"file:" + pin + "\"}\n", nil, nil},
		"secrets: two lines, one file":  {string(places) + "secrets: " + string(quoted) + "\n", nil, nil},
		"secrets: one file, two spells": {string(places) + fmt.Sprintf("secrets: {\"pkcs11:serial=%s\": \"file:%s\", \"pkcs11:serial=%s\": \"file:%s/../pin\"}\n", serials[0], pin, serials[1], filepath.Dir(pin)+"/x"), nil, nil},
	} {
		if err := os.WriteFile(file, []byte(c.config), 0o600); err != nil {
			t.Fatal(err)
		}
		args := append([]string{"rotate", "root", "--renew", "--path", dir, "--no-input", "--pkcs11-module", tok.Module}, c.args...)
		r := hsm(t, c.env, args...)
		if r.code != exitUsage || !strings.Contains(r.stderr, "could mean each of pkcs11:token=twin;serial="+min(serials[0], serials[1])+", pkcs11:token=twin;serial="+max(serials[0], serials[1])) {
			t.Errorf("%s: exit %d\n%s", name, r.code, r.stderr)
		}
		for _, e := range tokensHere(t, tok) {
			if strings.Contains(strings.Join(e.Flags, " "), "pin-count-low") {
				t.Fatalf("%s: token %s has lost a try: %q", name, e.Serial, e.Flags)
			}
		}
	}
	if p, err := repo.Open(dir, repo.Options{}).Load(); err != nil || p.Root.Version() != 1 {
		t.Errorf("root was signed: %v", err)
	}
}
