package softhsm

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// ErrNotInstalled: the SoftHSM2 library or its tool is not on this machine. On Debian
// both come with the package softhsm2.
var ErrNotInstalled = errors.New("SoftHSM2 is not installed")

// Options says how a token is to be. The zero value is a good token.
type Options struct {
	Label string // "fleet" if empty
	PIN   string // user PIN; random digits if empty
	SOPIN string // security officer's PIN; random digits if empty
}

// Token is a SoftHSM2 token in a folder.
type Token struct {
	Dir    string // holds everything below
	Conf   string // configuration file, for SOFTHSM2_CONF
	Store  string // folder of the token files
	Module string // resolved path of libsofthsm2.so
	Label  string
	PIN    string
	SOPIN  string
}

// modulePaths are where distributions put the library.
func modulePaths() []string {
	paths := []string{
		"/usr/lib/softhsm/libsofthsm2.so",
		"/usr/lib64/pkcs11/libsofthsm2.so",
		"/usr/lib64/libsofthsm2.so",
		"/usr/lib/pkcs11/libsofthsm2.so",
		"/usr/local/lib/softhsm/libsofthsm2.so",
		"/opt/homebrew/lib/softhsm/libsofthsm2.so",
	}
	multiarch, _ := filepath.Glob("/usr/lib/*-linux-gnu*/softhsm/libsofthsm2.so")
	return append(paths, multiarch...)
}

// Module finds the SoftHSM2 library and returns its path without symbolic links.
func Module() (string, error) {
	for _, p := range modulePaths() {
		if resolved, err := filepath.EvalSymlinks(p); err == nil {
			return resolved, nil
		}
	}
	return "", fmt.Errorf("%w: libsofthsm2.so is in none of its usual folders", ErrNotInstalled)
}

// Make makes a folder dir with one initialised token in it. A folder that is there
// already must be empty.
func Make(dir string, o Options) (*Token, error) {
	t, err := newToken(dir, o)
	if err != nil {
		return nil, err
	}
	if err := t.writeFiles(); err != nil {
		return nil, err
	}
	return t, t.AddToken(t.Label)
}

func newToken(dir string, o Options) (*Token, error) {
	module, err := Module()
	if err != nil {
		return nil, err
	}
	dir, err = filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if strings.ContainsAny(dir, "=\n") {
		return nil, fmt.Errorf("folder %q: SoftHSM's configuration cannot name a folder with \"=\" in it", dir)
	}
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	if len(entries) > 0 {
		return nil, fmt.Errorf("folder %q is not empty", dir)
	}
	t := &Token{
		Dir: dir, Conf: filepath.Join(dir, "softhsm2.conf"), Store: filepath.Join(dir, "tokens"),
		Module: module, Label: o.Label, PIN: o.PIN, SOPIN: o.SOPIN,
	}
	if t.Label == "" {
		t.Label = "fleet"
	}
	if t.PIN == "" {
		t.PIN = digits(8)
	}
	if t.SOPIN == "" {
		t.SOPIN = digits(10)
	}
	return t, nil
}

func (t *Token) writeFiles() error {
	if err := os.MkdirAll(t.Store, 0o700); err != nil {
		return err
	}
	conf := fmt.Sprintf("directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = false\n", t.Store)
	for name, content := range map[string]string{t.Conf: conf, t.PINFile(): t.PIN + "\n", t.SOPINFile(): t.SOPIN + "\n"} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// AddToken initialises one more token in the same store, with the same PINs. Two
// tokens may have one label.
func (t *Token) AddToken(label string) error {
	tool, err := exec.LookPath("softhsm2-util")
	if err != nil {
		return fmt.Errorf("%w: %v", ErrNotInstalled, err)
	}
	// The tool takes PINs on its command line or from a terminal only. These PINs are
	// of a throw-away token and stand in a file next to it.
	cmd := exec.Command(tool, "--init-token", "--free", "--label", label, "--pin", t.PIN, "--so-pin", t.SOPIN)
	cmd.Env = append(os.Environ(), t.Env())
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("initialising SoftHSM token %q: %w: %s", label, err, bytes.TrimSpace(out.Bytes()))
	}
	return nil
}

// Env is the environment variable, as NAME=VALUE, that leads the module to the token.
func (t *Token) Env() string { return "SOFTHSM2_CONF=" + t.Conf }

// PINFile holds the user PIN and a newline; mode 0600.
func (t *Token) PINFile() string { return filepath.Join(t.Dir, "pin") }

// SOPINFile holds the security officer's PIN and a newline; mode 0600.
func (t *Token) SOPINFile() string { return filepath.Join(t.Dir, "so-pin") }

// URI names the key with this label on the token.
func (t *Token) URI(object string) string {
	return "pkcs11:token=" + url.PathEscape(t.Label) + ";object=" + url.PathEscape(object)
}

// digits returns n random decimal digits. The slight bias of the modulus does not
// matter for a token that protects nothing.
func digits(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	for i := range b {
		b[i] = '0' + b[i]%10
	}
	return string(b)
}
