package softhsm

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// list asks an outside judge which tokens there are.
func list(t *testing.T, tok *Token) string {
	t.Helper()
	cmd := exec.Command("pkcs11-tool", "--module", tok.Module, "--list-token-slots")
	cmd.Env = append(os.Environ(), tok.Env())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("pkcs11-tool (package opensc): %v: %s", err, out)
	}
	return string(out)
}

func TestNewMakesAToken(t *testing.T) {
	tok := New(t)
	if os.Getenv("SOFTHSM2_CONF") != tok.Conf {
		t.Error("SOFTHSM2_CONF does not lead to the token")
	}
	out := list(t, tok)
	for _, want := range []string{"token label        : fleet", "PIN initialized"} {
		if !strings.Contains(out, want) {
			t.Errorf("pkcs11-tool does not say %q:\n%s", want, out)
		}
	}
	for file, want := range map[string]string{tok.PINFile(): tok.PIN, tok.SOPINFile(): tok.SOPIN} {
		got, err := os.ReadFile(file)
		if err != nil || string(got) != want+"\n" {
			t.Errorf("%s holds %q, %v", file, got, err)
		}
		if fi, err := os.Stat(file); err == nil && fi.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", file, fi.Mode())
		}
	}
}

func TestTwoTokensOfOneLabel(t *testing.T) {
	tok := NewWith(t, Options{Label: "two words", PIN: "1234"})
	if err := tok.AddToken("two words"); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(list(t, tok), ": two words"); n != 2 {
		t.Errorf("%d tokens of that label, want 2", n)
	}
	if got, want := tok.URI("a;b"), "pkcs11:token=two%20words;object=a%3Bb"; got != want {
		t.Errorf("URI is %s, want %s", got, want)
	}
}

func TestMakeRefusesAFolderInUse(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "mine"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Make(dir, Options{}); err == nil {
		t.Fatal("made a token in a folder that is not empty")
	}
}
