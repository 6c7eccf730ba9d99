//go:build cgo && linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/softhsm"
)

// hsmRepository is an empty folder whose configuration names a SoftHSM token, and where
// its PIN comes from. No role has another key than on it.
func hsmRepository(t *testing.T) (string, *softhsm.Token) {
	t.Helper()
	tok := softhsm.New(t)
	dir := t.TempDir()
	config := fmt.Sprintf("pkcs11: {module: %s}\nsecrets: {\"pkcs11:token=%s\": \"file:%s\"}\n", tok.Module, tok.Label, tok.PINFile())
	if err := os.WriteFile(filepath.Join(dir, "fleet-hsm.yaml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir, tok
}

// The life of a repository whose four roles are keys on one token: init, releases,
// promotion by add and by promote, a timestamp, and each role rotated, to keys of other
// algorithms. Agents and clients of every age follow each step.
func TestAgentsFollowHSMKeys(t *testing.T) {
	for _, layout := range layouts("consistent") {
		t.Run(layout, func(t *testing.T) {
			dir, tok := hsmRepository(t)
			h := newHistory(t, dir)
			args := []string{"init", fmt.Sprintf("--consistent-snapshot=%t", layout == "consistent"), "--generate"}
			for _, role := range meta.Roles() {
				args = append(args, "--"+role+"-key", tok.URI(role))
			}
			h.step(args...)
			h.adds(3) // the first is stable too
			h.step("promote", "1.0.2", "--from", "edge", "--to", "stable")
			h.step("timestamp")
			next := map[string]string{
				meta.RoleRoot: "p256", meta.RoleTargets: "rsa3072", meta.RoleSnapshot: "ed25519", meta.RoleTimestamp: "rsa2048",
			}
			for _, role := range meta.Roles() {
				uri := tok.URI(role + "-" + next[role])
				must(t, "key", "generate", uri, "--algorithm", next[role], "--path", dir)
				h.step("rotate", role, "--key", uri)
			}
			h.everybody()
			for _, role := range meta.Roles() {
				h.step("rotate", role, "--key", tok.URI(role+"-3"), "--generate")
			}
			h.adds(1)
			h.step("timestamp")
			h.everybody()
			if f := h.agent(filepath.Join(h.spare, "running")); f.Root != 9 {
				t.Errorf("at the end %+v; want root 9", f)
			}
			if left, err := filepath.Glob(filepath.Join(dir, "keys", "*.json")); err != nil || len(left) > 0 {
				t.Errorf("key files %q (%v) beside keys on a token", left, err)
			}
		})
	}
}
