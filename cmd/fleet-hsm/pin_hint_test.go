//go:build cgo && linux

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/softhsm"
)

// A PIN that names no token ($FLEET_ROOT_PIN) is not offered to a token to which only a
// request's hint points: the key that the hint promises is not to be seen there.
func TestPINIsNotForAHint(t *testing.T) {
	dir, tok := hsmRepository(t)
	first := tok.PIN
	tok.PIN = "222222"
	check(t, tok.AddToken("other"))
	away, err := os.MkdirTemp(t.TempDir(), "away")
	check(t, err)
	check(t, os.Mkdir(filepath.Join(away, "keys"), 0o700))
	check(t, makeKeyFile("p256", filepath.Join(away, "keys", "root.json"), "root"))
	must(t, "key", "export", "root", "--path", away, "-o", filepath.Join(away, "pub.json"))
	var pub map[string]any
	data, err := os.ReadFile(filepath.Join(away, "pub.json"))
	check(t, err)
	check(t, json.Unmarshal(data, &pub))
	pub["uri"] = "pkcs11:token=other;object=root"
	data, err = json.Marshal(pub)
	check(t, err)
	check(t, os.WriteFile(filepath.Join(away, "pub.json"), data, 0o600))
	must(t, "init", "--path", dir, "--generate", "--root-key", tok.URI("root"), "--root-key", "pub:"+filepath.Join(away, "pub.json"), "--root-threshold", "1")
	must(t, "rotate", "root", "--threshold", "2", "--stage-only", "--path", dir)
	request, none := filepath.Join(away, "change.request"), write(t, "none.yaml", "")
	must(t, "request", "-o", request, "--path", dir)
	if data, err = os.ReadFile(request); err != nil || !strings.Contains(string(data), "token=other") {
		t.Fatalf("the request has no such hint: %v", err)
	}
	var review struct{ Roles []struct{ SHA256 string } }
	check(t, json.Unmarshal([]byte(must(t, "review", "--json", "--path", dir).stdout), &review))
	r := hsm(t, []string{"FLEET_ROOT_PIN=" + first}, "sign", request, "--no-input", "--reviewed", review.Roles[0].SHA256,
		"--root", filepath.Join(dir, "repository", "root.json"), "--config", none, "--pkcs11-module", tok.Module)
	if r.code != exitSecret || !strings.Contains(r.stderr, "secrets: of the configuration ($FLEET_ROOT_PIN names none)") {
		t.Errorf("exit %d\n%s", r.code, r.stderr)
	}
	others := tokensHere(t, &softhsm.Token{Label: "other", Module: tok.Module})
	if len(others) != 1 {
		t.Fatalf("%d tokens of that name", len(others))
	}
	for _, e := range others {
		if strings.Contains(strings.Join(e.Flags, " "), "pin-count-low") {
			t.Errorf("the token has lost a try: %q\n%s", e.Flags, r.stderr)
		}
	}
}
