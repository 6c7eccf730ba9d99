package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

// Config is fleet-hsm.yaml: where keys live on this machine. No secret is in it.
type Config struct {
	Expires map[string]string `yaml:"expires"`
	Warn    map[string]string `yaml:"warn"`
	Store   string            `yaml:"store"`
	// TrustedRoot is a root.json that requests from elsewhere must lead back to;
	// relative to the configuration file.
	TrustedRoot string `yaml:"trusted-root"`
	// Transcript is a log of signatures; relative to the configuration file.
	Transcript string `yaml:"transcript"`
	// Policy is what is never signed on this machine.
	Policy Policy `yaml:"policy"`
	// AttestationCA is a PEM file, relative to the configuration: roots that
	// attestations may lead to besides Yubico's.
	AttestationCA string            `yaml:"attestation-ca"`
	Secrets       map[string]string `yaml:"secrets"`
	Keys          map[tuf.KeyID]Key `yaml:"keys"`
	// Retention is nil without that section. Pinned are versions that stay in targets.json
	// whatever their age: "1.2.3", or "orbit/1.2.3" for one component.
	Retention *Retention `yaml:"retention"`
	Pinned    []string   `yaml:"pinned"`

	// What was read, for those who use it. File is where the configuration is, or would be.
	File string `yaml:"-"`
	// Settings are those of the kinds of key, each in a section called as its scheme.
	Settings signer.Settings          `yaml:"-"`
	Expiries meta.Expiries            `yaml:"-"`
	Warnings map[string]time.Duration `yaml:"-"`
	// Locations is where each key is, SecretSources where secrets come from.
	Locations     map[tuf.KeyID]signer.URI `yaml:"-"`
	SecretSources []SecretSource           `yaml:"-"`

	kinds signer.Kinds
}

// Key is what is known of a key: its URI, and what people call it.
type Key struct {
	URI  string `yaml:"uri"`
	Name string `yaml:"name"`
}

// SecretSource says where the secret of a token, or of one key, comes from.
type SecretSource struct {
	URI    signer.URI
	Source string
}

// Error says what is wrong in which file; exit 2.
type Error struct {
	File string
	Err  error
}

func (e *Error) Error() string { return fmt.Sprintf("%q: %v", e.File, e.Err) }
func (e *Error) Unwrap() error { return e.Err }

// MaxSize bounds configuration and manifest files, in bytes.
const MaxSize = 4 << 20

// unnamed is what the system says of a file, without its name: whoever asked names it.
type unnamed struct{ err error }

func (e unnamed) Error() string {
	var pe *fs.PathError
	if errors.As(e.err, &pe) {
		return pe.Err.Error()
	}
	return e.err.Error()
}

func (e unnamed) Unwrap() error { return e.err }

// ReadBounded reads a regular file of limit bytes at most. Its errors do not name it.
func ReadBounded(file string, limit int64) ([]byte, error) {
	st, err := os.Stat(file)
	if err != nil {
		return nil, unnamed{err}
	}
	if !st.Mode().IsRegular() {
		return nil, errors.New("is not a regular file")
	}
	if st.Size() > limit {
		return nil, fmt.Errorf("is larger than %d bytes", limit)
	}
	return os.ReadFile(file)
}

// StrictYAML reads one YAML document; an unknown or repeated field is an error that
// names it and its line.
func StrictYAML(data []byte, into any) error {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(into); err != nil && !errors.Is(err, io.EOF) {
		return oneLine(err)
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return errors.New("more than one document")
	}
	return nil
}

// oneLine writes the decoder's list of complaints in one line, without the names of
// our types.
func oneLine(err error) error {
	var te *yaml.TypeError
	if !errors.As(err, &te) {
		return err
	}
	list := make([]string, 0, len(te.Errors))
	for _, s := range te.Errors {
		s, _, _ = strings.Cut(s, " in type ")
		list = append(list, s)
	}
	return errors.New(strings.Join(list, "; "))
}

// Parse reads a configuration; nil is an empty one.
func Parse(data []byte, kinds signer.Kinds) (*Config, error) {
	c := &Config{Expiries: meta.Expiries{}, Warnings: map[string]time.Duration{}, Locations: map[tuf.KeyID]signer.URI{}, kinds: kinds}
	err := c.decode(data)
	if id := (*tuf.KeyIDError)(nil); errors.As(err, &id) {
		return nil, fmt.Errorf("keys: %w", err)
	}
	if err != nil {
		return nil, err
	}
	if err := c.checkRetention(); err != nil {
		return nil, err
	}
	for role, s := range c.Expires {
		d, err := roleDuration("expires", role, s)
		if err != nil {
			return nil, err
		}
		c.Expiries[role] = d
	}
	for role, s := range c.Warn {
		d, err := roleDuration("warn", role, s)
		if err != nil {
			return nil, err
		}
		c.Warnings[role] = d
	}
	for id, k := range c.Keys {
		u, err := kinds.Parse(k.URI)
		if err != nil {
			return nil, fmt.Errorf("keys: %s: %w", id.Short(), err)
		}
		c.Locations[id] = u
	}
	for token, source := range c.Secrets {
		u, err := kinds.Parse(token)
		if err != nil {
			return nil, fmt.Errorf("secrets: %w", err)
		}
		if err := CheckSource(source); err != nil {
			return nil, fmt.Errorf("secrets: %q: %w", token, err)
		}
		c.SecretSources = append(c.SecretSources, SecretSource{u, source})
	}
	return c, nil
}

func roleDuration(field, role, s string) (time.Duration, error) {
	if !meta.IsRole(role) {
		return 0, fmt.Errorf("%s: %q is not a role; roles are root, targets, snapshot, timestamp", field, role)
	}
	d, err := ParseDuration(s)
	if err == nil && d <= 0 {
		err = fmt.Errorf("%q is not a time to come", s)
	}
	if err != nil {
		return 0, fmt.Errorf("%s: %s: %w", field, role, err)
	}
	return d, nil
}
