package prompt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"

	"github.com/fleet-hsm/fleet-hsm/config"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

// maxSecret bounds what a source may give, in bytes.
const maxSecret = 4096

// SourceError says which source could not be read. It never holds what was read.
type SourceError struct {
	Source string
	Err    error
}

func (e *SourceError) Error() string { return fmt.Sprintf("secret source %q: %v", e.Source, e.Err) }
func (e *SourceError) Unwrap() error { return e.Err }

var errEmptySecret = errors.New("is empty")

// readPassphrase reads the passphrase of a key file. fleetctl uses a variable as it
// stands, with the line end that a CI secret may have, so that is what counts for a
// new file; what files, descriptors and commands give usually ends with a line end
// that nobody means. For a file that exists the other spelling is as good a guess.
func readPassphrase(ctx context.Context, kind signer.SecretKind, s string, say func(format string, args ...any)) (signer.Secret, error) {
	whole, err := rawSource(ctx, s, say)
	trimmed := trimLineEnd(whole)
	switch {
	case err != nil:
	case len(trimmed) == 0:
		err = errEmptySecret
	case len(whole) > maxSecret:
		err = fmt.Errorf("gives more than %d bytes", maxSecret)
	case !strings.HasPrefix(s, "env:"):
		err = typable(trimmed)
	}
	if err != nil {
		return signer.Secret{}, &SourceError{Source: s, Err: err}
	}
	first, second := trimmed, whole
	if strings.HasPrefix(s, "env:") {
		first, second = whole, trimmed
	}
	if kind == signer.NewPassphrase || len(first) == len(second) {
		return signer.NewSecret(first), nil
	}
	return signer.NewSecret(bytes.Clone(first)).Or(bytes.Clone(second)), nil
}

func trimLineEnd(b []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(b, []byte("\n")), []byte("\r"))
}

// readSource reads a PIN or PUK. Exactly one trailing newline is cut; what is empty then
// is an error, never an empty PIN. say is told of a command that takes its time.
func readSource(ctx context.Context, s string, say func(format string, args ...any)) ([]byte, error) {
	b, err := rawSource(ctx, s, say)
	if err == nil {
		b = trimLineEnd(b)
		switch {
		case len(b) == 0:
			err = errEmptySecret
		case len(b) > maxSecret:
			err = fmt.Errorf("gives more than %d bytes", maxSecret)
		case bytes.ContainsRune(b, '\n'):
			err = errors.New("gives more than one line")
		case !strings.HasPrefix(s, "env:"): // fleetctl takes its variables as they are
			err = typable(b)
		}
	}
	if err != nil {
		return nil, &SourceError{Source: s, Err: err}
	}
	return b, nil
}

func rawSource(ctx context.Context, s string, say func(string, ...any)) ([]byte, error) {
	kind, rest, _ := strings.Cut(s, ":")
	switch kind {
	case "file":
		f, err := os.Open(rest)
		if err != nil {
			return nil, err
		}
		return readAndClose(f)
	case "fd":
		n, err := strconv.Atoi(rest)
		if err != nil {
			return nil, err
		}
		f := os.NewFile(uintptr(n), s)
		if f == nil {
			return nil, errors.New("is not open")
		}
		return readAndClose(f)
	case "env":
		v, ok := os.LookupEnv(rest)
		if !ok {
			return nil, errors.New("is not set")
		}
		return []byte(v), nil
	case "cmd":
		return runSource(ctx, rest, say)
	}
	return nil, config.CheckSource(s)
}

// typable refuses what nobody types: the mark that editors put before a text, a NUL, a
// colour, a line end in the middle. A device would count it as a wrong PIN.
func typable(b []byte) error {
	for _, bom := range []string{"\xef\xbb\xbf", "\xfe\xff", "\xff\xfe"} {
		if bytes.HasPrefix(b, []byte(bom)) {
			return errors.New("begins with the byte order mark of an editor; save it as plain text without one")
		}
	}
	for _, r := range string(b) {
		if unicode.IsControl(r) || r == '\ufeff' {
			return fmt.Errorf("holds the control character %U, which nobody types", r)
		}
	}
	return nil
}

func readAndClose(f *os.File) ([]byte, error) {
	defer func() { _ = f.Close() }()
	return io.ReadAll(io.LimitReader(f, maxSecret+2))
}

// sourcesFor lists where a secret may come from, in order. Each is a SOURCE.
func (u *Person) sourcesFor(r signer.SecretRequest) ([]string, error) {
	switch r.Kind {
	case signer.PIN:
		if r.Own {
			return u.OwnSources(r.URI)
		}
		return u.PINSources(r)
	case signer.Passphrase:
		return u.passphraseSources(r, "FLEET_%s_PASSPHRASE", "TUF_%s_PASSPHRASE")
	case signer.NewPassphrase:
		if u.Changing {
			return envSources(r.Roles, "FLEET_NEW_%s_PASSPHRASE", "TUF_NEW_%s_PASSPHRASE"), nil
		}
		return u.passphraseSources(r, "FLEET_%s_PASSPHRASE", "TUF_NEW_%s_PASSPHRASE", "TUF_%s_PASSPHRASE")
	case signer.NewPIN:
		return flagSource(u.Given.NewPIN), nil
	case signer.NewPUK:
		return flagSource(u.Given.NewPUK), nil
	case signer.ManagementKey:
		return flagSource(u.Given.ManagementKey), nil
	case signer.SOPIN, signer.NewSOPIN:
		return flagSource(u.Given.SOPIN), nil
	}
	return nil, nil
}

// passphraseSources are those of a key file. --pin-source is none of them: most
// commands use several files, each with a passphrase of its own.
func (u *Person) passphraseSources(r signer.SecretRequest, variables ...string) ([]string, error) {
	list, err := u.OwnSources(r.URI)
	if err != nil {
		return nil, err
	}
	list = append(list, envSources(r.Roles, variables...)...)
	if len(list) == 0 && u.opts.PINSource != "" {
		return nil, config.PINSourceOfFile(r.Device)
	}
	return list, nil
}

// place writes the path of a key file as one path, however it was given.
func (u *Person) place(at signer.URI) signer.URI {
	if at.Opaque != "" && !filepath.IsAbs(at.Opaque) {
		at.Opaque = filepath.Join(u.opts.Folder, at.Opaque)
	}
	if abs, err := filepath.Abs(at.Opaque); at.Opaque != "" && err == nil {
		at.Opaque = abs
	}
	return at
}

// PINSources lists the sources of a PIN, in order.
func (u *Person) PINSources(r signer.SecretRequest) ([]string, error) {
	own, err := u.OwnSources(r.URI)
	if err != nil {
		return nil, err
	}
	return append(append(own, flagSource(u.opts.PINSource)...), envSources(r.Roles, "FLEET_%s_PIN")...), nil
}

// OwnSources lists the sources that were named for this very token or file: the URI's and
// the configuration's.
func (u *Person) OwnSources(at signer.URI) ([]string, error) {
	list := fromURI(at)
	cfg, err := u.opts.Config()
	if err != nil {
		return nil, err
	}
	for _, s := range cfg.SecretSources {
		if u.place(s.URI).Covers(u.place(at)) {
			list = append(list, s.Source)
		}
	}
	return list, nil
}

// fromURI gives the URI's pin-source; a bare path is a file, as RFC 7512 has it.
func fromURI(u signer.URI) []string {
	src, ok := u.Query("pin-source")
	if !ok {
		return nil
	}
	if config.CheckSource(src) != nil {
		src = "file:" + src
	}
	return []string{strings.Replace(src, "file:///", "file:/", 1)}
}

func flagSource(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

// envSources gives the variables of the roles that are set, one role after the other.
func envSources(roles []string, names ...string) []string {
	var out []string
	for _, role := range roles {
		for _, pattern := range names {
			name := fmt.Sprintf(pattern, strings.ToUpper(role))
			if v, ok := os.LookupEnv(name); ok && v != "" {
				out = append(out, "env:"+name)
			}
		}
	}
	return out
}

// EnvPassphrase reports whether a variable holds the passphrase of a role's key file.
func (u *Person) EnvPassphrase(role string) bool {
	return len(envSources([]string{role}, "FLEET_%s_PASSPHRASE", "TUF_%s_PASSPHRASE")) > 0
}
