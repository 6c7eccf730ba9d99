//go:build cgo && linux

package prompt

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func quiet(string, ...any) {}

// What nobody types is never offered to a device: it would cost a try.
func TestSourcesThatNobodyTyped(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "pin")
	for name, content := range map[string]string{
		"UTF-8 mark": "\xef\xbb\xbf1234\n", "UTF-16": "\xff\xfe1\x002\x00", "UTF-16 BE": "\xfe\xff\x001",
		"NUL": "1234\x00", "colour": "\x1b[1m1234\x1b[0m", "tab": "12\t34", "two lines": "1234\n1234\n",
		"carriage return": "12\r34\n", "delete": "1234\x7f", "C1": "1234\u009b", "empty": "\n", "mark behind": "1234\ufeff",
	} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, source := range []string{"file:" + file, "cmd:cat " + file} {
			if b, err := readSource(t.Context(), source, quiet); err == nil {
				t.Errorf("%s: %s gives %q", name, source, b)
			}
		}
	}
	for content, want := range map[string]string{"1234\n": "1234", "1234\r\n": "1234", "p\u00e4ss w\u00f6rd": "p\u00e4ss w\u00f6rd"} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if b, err := readSource(t.Context(), "file:"+file, quiet); err != nil || string(b) != want {
			t.Errorf("%q gives %q, %v", content, b, err)
		}
	}
}

// A command gets no secret that it does not name.
func TestCommandsEnvironment(t *testing.T) {
	t.Parallel()
	for name, secret := range map[string]bool{
		"FLEET_ROOT_PIN": true, "TUF_ROOT_PASSPHRASE": true, "AWS_SECRET_ACCESS_KEY": true, "AWS_SESSION_TOKEN": true,
		"VAULT_TOKEN": true, "PGPASSWORD": true, "OP_SESSION_my": true, "BW_SESSION": true, "GITHUB_TOKEN": true, "RESTIC_PASSWORD": true,
		"PATH": false, "HOME": false, "PWD": false, "OLDPWD": false, "SSH_AUTH_SOCK": false, "DBUS_SESSION_BUS_ADDRESS": false,
		"XDG_SESSION_ID": false, "GPG_TTY": false, "AWS_WEB_IDENTITY_TOKEN_FILE": false, "AWS_PROFILE": false, "KEYBOARD": false,
	} {
		given, _ := childEnv([]string{name + "=x"}, "pass show pin")
		if (len(given) == 0) != secret {
			t.Errorf("%s: taken for a secret: %v", name, !secret)
		}
	}
	if given, _ := childEnv([]string{"DB=postgres://u:p@host/x", "HTTPS_PROXY=http://u:p@host"}, ""); len(given) != 1 {
		t.Errorf("of the addresses, it is given %q", given)
	}
	env := []string{"VAULT_TOKEN=x", "FLEET_ROOT_PIN=1234"}
	if given, _ := childEnv(env, ": ${VAULT_TOKEN} $FLEET_ROOT_PIN; vault kv get pin"); len(given) != 1 || given[0] != env[0] {
		t.Errorf("a command that names them is given %q", given)
	}
}

// A command may write without end, and leave children behind that keep its output open.
func TestCommandsThatDoNotEnd(t *testing.T) {
	t.Parallel()
	start := time.Now()
	if b, err := readSource(t.Context(), "cmd:sleep 30 & echo 1234", quiet); err != nil || string(b) != "1234" {
		t.Errorf("a child that stays behind: %q, %v", b, err)
	}
	if _, err := readSource(t.Context(), "cmd:yes", quiet); err == nil || !strings.Contains(err.Error(), "more than 4096 bytes") {
		t.Errorf("endless output: %v", err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer stop()
	if _, err := readSource(ctx, "cmd:sleep 30 & sleep 30; echo 1", quiet); err == nil {
		t.Error("a command that was stopped gave a secret")
	}
	if took := time.Since(start); took > 15*time.Second {
		t.Errorf("it took %s", took)
	}
}
