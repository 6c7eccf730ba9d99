package prompt

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/config"
	"github.com/fleet-hsm/fleet-hsm/signer"
	"github.com/fleet-hsm/fleet-hsm/signer/file"
	"github.com/fleet-hsm/fleet-hsm/signer/piv"
	"github.com/fleet-hsm/fleet-hsm/signer/pkcs11"
)

func kinds() signer.Kinds {
	return signer.Kinds{file.Kind(), signer.PublicPart(), pkcs11.Kind(), piv.Kind()}
}

func uri(t *testing.T, s string) signer.URI {
	t.Helper()
	u, err := kinds().Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// nobody is a person whom nobody can ask, with a configuration.
func nobody(t *testing.T, text, pinSource string) (*Person, *bytes.Buffer) {
	t.Helper()
	cfg, err := config.Parse([]byte(text), kinds())
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	return NewPerson(Options{Talk: New(&out), NoInput: true, PINSource: pinSource, Folder: "/repo",
		Config: func() (*config.Config, error) { return cfg, nil }}), &out
}

// The first source that applies is the only one, in the order that DESIGN promises.
func TestWhereASecretComesFrom(t *testing.T) {
	t.Setenv("FLEET_ROOT_PIN", "from-variable")
	t.Setenv("FLEET_ROOT_PASSPHRASE", "from-variable")
	t.Setenv("FLEET_NEW_ROOT_PASSPHRASE", "new-variable")
	t.Setenv("IN_URI", "from-uri")
	t.Setenv("IN_CONFIG", "from-config")
	t.Setenv("IN_FLAG", "from-flag")
	secrets := `secrets: {"pkcs11:token=a": "env:IN_CONFIG", "file:keys/root.json": "env:IN_CONFIG"}`
	for _, c := range []struct {
		name, config, flag, uri string
		kind                    signer.SecretKind
		own, changing           bool
		want                    string // "" for none
	}{
		{name: "the URI first", config: secrets, flag: "env:IN_FLAG", uri: "pkcs11:token=a;object=k?pin-source=env:IN_URI", kind: signer.PIN, want: "from-uri"},
		{name: "then the configuration", config: secrets, flag: "env:IN_FLAG", uri: "pkcs11:token=a;object=k", kind: signer.PIN, want: "from-config"},
		{name: "of that token only", config: secrets, flag: "env:IN_FLAG", uri: "pkcs11:token=b;object=k", kind: signer.PIN, want: "from-flag"},
		{name: "then the variable", uri: "pkcs11:token=b", kind: signer.PIN, want: "from-variable"},
		{name: "no general one for a token that others name", flag: "env:IN_FLAG", uri: "pkcs11:token=b", kind: signer.PIN, own: true},
		{name: "a file's, however its path is written", config: secrets, uri: "file:/repo/keys/root.json", kind: signer.Passphrase, want: "from-config"},
		{name: "a file's variable", uri: "file:keys/root.json", kind: signer.Passphrase, want: "from-variable"},
		{name: "a new one", uri: "file:keys/root.json", kind: signer.NewPassphrase, changing: true, want: "new-variable"},
		{name: "no PUK from a PIN's source", flag: "env:IN_FLAG", uri: "piv:serial=1", kind: signer.NewPUK},
	} {
		p, _ := nobody(t, c.config, c.flag)
		p.Changing = c.changing
		r := signer.SecretRequest{Kind: c.kind, URI: uri(t, c.uri), Device: "d", Roles: []string{"root"}, TriesLeft: -1, Own: c.own}
		s, err := p.Secret(t.Context(), r)
		if c.want == "" {
			if !errors.Is(err, signer.ErrNoSecret) || p.Sourced(r) {
				t.Errorf("%s: %s, %v", c.name, s.Unwrap(), err)
			}
			continue
		}
		if err != nil || string(s.Unwrap()) != c.want || !p.Sourced(r) || p.Asks(r) {
			t.Errorf("%s: %q, %v", c.name, s.Unwrap(), err)
		}
	}
}

// A source is offered to one device, and never uses up a last try.
func TestOneSourceOneDevice(t *testing.T) {
	t.Setenv("PIN", "123456")
	p, _ := nobody(t, "", "env:PIN")
	ask := func(token string, tries int) error {
		_, err := p.Secret(t.Context(), signer.SecretRequest{Kind: signer.PIN, URI: uri(t, "pkcs11:token=x"), Device: token, Token: token, TriesLeft: tries})
		return err
	}
	if err := ask("first", 3); err != nil {
		t.Fatal(err)
	}
	if err := ask("second", 3); !errors.Is(err, signer.ErrNoSecret) || !strings.Contains(err.Error(), "was offered to first already") {
		t.Errorf("a second device: %v", err)
	}
	if err := ask("first", 1); !errors.Is(err, signer.ErrLastTry) {
		t.Errorf("the last try: %v", err)
	}
	short := signer.SecretRequest{Kind: signer.PIN, URI: uri(t, "pkcs11:token=x"), Device: "first", Token: "first", TriesLeft: -1, Min: 8}
	if _, err := p.Secret(t.Context(), short); err == nil || strings.Contains(err.Error(), "123456") {
		t.Errorf("one that is too short: %v", err)
	}
}

// --pin-source is refused for a file, and a source that cannot be read is no empty secret.
func TestSourcesThatAreRefused(t *testing.T) {
	t.Setenv("FLEET_ROOT_PASSPHRASE", "")
	t.Setenv("TUF_ROOT_PASSPHRASE", "")
	p, _ := nobody(t, "", "file:"+filepath.Join(t.TempDir(), "none"))
	if _, err := p.Secret(t.Context(), signer.SecretRequest{Kind: signer.Passphrase, URI: uri(t, "file:keys/root.json"), Roles: []string{"root"}}); err == nil || !strings.Contains(err.Error(), "--pin-source is for the PIN of a token") {
		t.Errorf("a passphrase: %v", err)
	}
	_, err := p.Secret(t.Context(), signer.SecretRequest{Kind: signer.PIN, URI: uri(t, "pkcs11:token=x"), TriesLeft: -1})
	if !errors.Is(err, os.ErrNotExist) || !errors.As(err, new(*SourceError)) {
		t.Errorf("a file that is not there: %v", err)
	}
}

func TestWordsOfAQuestion(t *testing.T) {
	t.Parallel()
	for want, r := range map[string]signer.SecretRequest{
		"PIV PIN of YubiKey 1 (slot 9c, role root), 3 tries left. Not FIDO2": {Kind: signer.PIN, Name: "PIV PIN", Device: "YubiKey 1 (slot 9c)", Roles: []string{"root"}, TriesLeft: 3, Note: "Not FIDO2."},
		`PIN of token "a" (role targets, snapshot), 1 try left`:              {Kind: signer.PIN, Device: `token "a"`, Roles: []string{"targets", "snapshot"}, TriesLeft: 1},
		"New SO PIN of d (4 to 8 characters)":                                {Kind: signer.NewSOPIN, Device: "d", TriesLeft: -1, Min: 4, Max: 8},
		"Passphrase of f":                                                    {Kind: signer.Passphrase, Device: "f", TriesLeft: -1},
	} {
		if got := promptFor(r); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
