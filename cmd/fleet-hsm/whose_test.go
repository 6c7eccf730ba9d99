//go:build cgo && linux

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/store/s3test"
)

// Every command that writes to a bucket says where the identity came from under which it
// does so, and the online signer logs it. Which source counts is a table in package store.
func TestWhoseIdentityIsSaid(t *testing.T) {
	t.Parallel()
	srv := s3test.Start(t)
	dir := copyRepo(t, "consistent")
	profiles := write(t, "profiles", fmt.Sprintf("[release]\naws_access_key_id = %s\naws_secret_access_key = %s\n", s3test.AccessKey, s3test.SecretKey))
	env := []string{"AWS_PROFILE=release", "AWS_SHARED_CREDENTIALS_FILE=" + profiles, "AWS_CONFIG_FILE=" + os.DevNull,
		"XDG_STATE_HOME=" + t.TempDir()}
	url, who := srv.URL("whose"), fmt.Sprintf("profile \"release\" (AWS_PROFILE) in %q", profiles)
	for _, args := range [][]string{
		{"publish", url}, {"doctor", "--store", url}, {"timestamp", "--store", url},
	} {
		r := hsm(t, env, append(args, "--path", dir)...)
		if r.code != 0 || !strings.Contains(r.stdout+r.stderr, "credentials: "+who) {
			t.Errorf("%s: exit %d\n%s%s", args[0], r.code, r.stdout, r.stderr)
		}
	}
	r := hsm(t, env, "publish", url, "--dry-run", "--json", "--path", dir)
	var said struct{ Credentials string }
	if err := json.Unmarshal([]byte(r.stdout), &said); err != nil || said.Credentials != who {
		t.Errorf("publish --json: %v, credentials %q\n%s", err, said.Credentials, r.stderr)
	}
	if text := logOfOnline(t, env, "--path", dir, "--store", url); !strings.Contains(text, fmt.Sprintf(`"source":%q`, who)) || strings.Contains(text, s3test.SecretKey) {
		t.Errorf("online logs\n%s", text)
	}
}

// logOfOnline runs the online signer until it has said whose credentials it has.
func logOfOnline(t *testing.T, env []string, args ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "log")
	log, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command("fleet-hsm", append([]string{"online", "--listen", "", "--no-input"}, args...)...)
	cmd.Env, cmd.Stderr = append(append(os.Environ(), secretEnv()...), env...), log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Wait() }()
	defer func() { _ = cmd.Process.Signal(os.Interrupt) }()
	text := func() string { b, _ := os.ReadFile(file); return string(b) }
	eventually(t, file, func() bool { return strings.Contains(text(), "credentials") })
	return text()
}
