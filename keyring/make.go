package keyring

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"unicode"

	"github.com/fleet-hsm/fleet-hsm/config"
	"github.com/fleet-hsm/fleet-hsm/internal/misuse"
	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

// MakeOptions say how keys are made.
type MakeOptions struct {
	Generate bool
	// Names are what people call the keys that are made, in their order (NameKeys).
	Names     []string
	Algorithm signer.Algorithm
	// AllowImported accepts root keys that were not born on their token.
	AllowImported bool
	// Policies is how keys are made on YubiKeys.
	Policies KeyPolicies
}

// Maker opens or makes the keys of one command, and remembers what it made.
type Maker struct {
	k *Ring
	// Made are the keys that it made in keys/<role>.json.
	Made map[string][]crypto.PublicKey
	// news is what is told once it is certain that it is kept.
	news []string
	// onTokens are the keys that it made on devices, which stay there.
	onTokens []string
	// names are those of new keys, by key ID: as the person wants, or as a public key from
	// elsewhere came with.
	names map[tuf.KeyID]string
	// wanted are those of MakeOptions.Names, by the URI of the key that gets it.
	wanted map[string]string
}

// NewMaker makes keys for one command.
func (k *Ring) NewMaker() *Maker { return &Maker{k: k} }

// Keys opens, or makes, the keys that a plan names, and gives their public parts
// by role. A role without URIs gets a new key in keys/<role>.json. Places on tokens
// and in other files are remembered in the configuration.
func (m *Maker) Keys(ctx context.Context, ui signer.UI, plan map[string][]signer.URI, o MakeOptions) (map[string][]meta.Key, error) {
	keys := map[string][]meta.Key{}
	var locations []config.Location
	for _, role := range keyRoles() {
		uris, planned := plan[role]
		if !planned {
			continue
		}
		if len(uris) == 0 {
			made, err := m.FileKeys(ctx, ui, role, 1, o.Algorithm)
			if err != nil {
				return nil, err
			}
			keys[role] = made
			continue
		}
		for _, u := range uris {
			k, at, err := m.resolve(ctx, ui, role, u, o)
			if err != nil {
				return nil, err
			}
			if slices.ContainsFunc(keys[role], func(other meta.Key) bool { return other.Fingerprint() == k.Fingerprint() }) {
				return nil, misuse.Errorf("--%s-key %s is the same key as another one given for the role", role, u)
			}
			keys[role] = append(keys[role], k)
			if name, ok := m.wanted[u.String()]; ok {
				m.call(k.ID, name)
			}
			if at.String() != RoleFile(role).String() || m.newName(k.ID) != "" {
				locations = append(locations, config.Location{KeyID: k.ID, URI: at.WithQueryOf(u), Name: m.newName(k.ID)})
			}
		}
	}
	if m.k.opts.DryRun {
		return keys, nil
	}
	return keys, m.k.opts.Config.Remember(locations, m.k.opts.Given)
}

// newName is the name of a new key, unless it has one here.
func (m *Maker) newName(keyID tuf.KeyID) string {
	if m.k.opts.Config.Keys[keyID].Name != "" {
		return ""
	}
	return m.names[keyID]
}

// FileKeys makes new keys in keys/<role>.json.
func (m *Maker) FileKeys(ctx context.Context, ui signer.UI, role string, n int, alg signer.Algorithm) ([]meta.Key, error) {
	if m.k.opts.DryRun {
		return m.StandIns(role, n)
	}
	g, err := m.k.Files.Generate(ctx, signer.Ref{URI: m.k.FileOf(role), Roles: []string{role}},
		signer.GenerateOptions{Algorithm: alg, Count: n}, ui)
	if err != nil {
		return nil, err
	}
	var keys []meta.Key
	if m.Made == nil {
		m.Made = map[string][]crypto.PublicKey{}
	}
	m.Made[role] = append(m.Made[role], g.Public...)
	for _, pub := range g.Public {
		k, err := meta.NewKey(pub)
		if err != nil {
			return nil, err
		}
		m.news = append(m.news, fmt.Sprintf("Generated %s key with ID: %s", role, k.ID))
		keys = append(keys, k)
	}
	return keys, nil
}

// resolve gives the public part of the key that a URI names, and its full URI; with
// generate it is made if it is absent.
func (m *Maker) resolve(ctx context.Context, ui signer.UI, role string, u signer.URI, o MakeOptions) (meta.Key, signer.URI, error) {
	if u.Kind().Elsewhere {
		k, err := m.k.ReadPublic(u)
		if err == nil {
			err = m.adoptPub(u, k)
		}
		return k.Key, k.At, err
	}
	if key, ok, err := m.rehearsed(u); ok || err != nil {
		return key, u, err
	}
	ref := signer.Ref{URI: u, Roles: []string{role}}
	pub, at, err := m.k.PublicOf(ctx, ui, ref)
	if m.k.opts.DryRun && o.Generate && ToBeMade(err) {
		key, err := m.k.standIn("a new key in " + u.String())
		return key, u, err
	}
	if o.Generate && ToBeMade(err) {
		pub, at, err = m.generate(ctx, ui, role, ref, o)
	}
	if err != nil {
		return meta.Key{}, signer.URI{}, err
	}
	if role == meta.RoleRoot && !o.AllowImported {
		if err := m.k.refuseImported(ctx, ui, signer.Ref{URI: at, Pinned: pub, Roles: ref.Roles}); err != nil {
			return meta.Key{}, signer.URI{}, err
		}
	}
	k, err := meta.NewKey(pub)
	return k, at, err
}

// ToBeMade reports whether a key could not be opened because it is not there, as far as
// the device tells.
func ToBeMade(err error) bool {
	return errors.Is(err, signer.ErrKeyNotFound) || errors.Is(err, signer.ErrMaybeAbsent)
}

// PublicOf gives the public part of the key that a URI names, and its full URI.
func (k *Ring) PublicOf(ctx context.Context, ui signer.UI, ref signer.Ref) (crypto.PublicKey, signer.URI, error) {
	s, err := k.Backends.Open(ctx, ref, ui)
	if err != nil {
		return nil, signer.URI{}, err
	}
	defer func() { _ = s.Close() }()
	if u, ok := s.(signer.Unlocker); ok && s.Public() == nil {
		if err := u.Unlock(ctx); err != nil {
			return nil, signer.URI{}, err
		}
	}
	if s.Public() == nil {
		return nil, signer.URI{}, &signer.KeyError{Op: "reading the public part of", URI: ref.URI, Err: signer.ErrKeyNotFound}
	}
	return s.Public(), s.URI(), nil
}

func (m *Maker) generate(ctx context.Context, ui signer.UI, role string, ref signer.Ref, o MakeOptions) (crypto.PublicKey, signer.URI, error) {
	be, err := m.k.Backends.For(ref.URI)
	if err != nil {
		return nil, signer.URI{}, err
	}
	g, ok := be.(signer.Generator)
	if !ok {
		return nil, signer.URI{}, &signer.UnsupportedError{What: "making keys of the kind " + ref.URI.Scheme + ":", Why: "this build cannot"}
	}
	made, err := g.Generate(ctx, ref, o.Policies.options(role, o.Algorithm), ui)
	if err != nil {
		return nil, signer.URI{}, err
	}
	if err := m.k.KeepAttestation(made); err != nil {
		return nil, signer.URI{}, err
	}
	for _, s := range made.Warnings {
		m.k.opts.Warn("%s: %s", made.URI, s)
	}
	m.onTokens = append(m.onTokens, fmt.Sprintf("%s (%s)", KeyID(made.Public[0]), made.URI))
	m.k.opts.Note("Generated %s key with ID: %s (%s)", role, KeyID(made.Public[0]), made.URI)
	return made.Public[0], made.URI, nil
}

func (m *Maker) call(id tuf.KeyID, name string) {
	if m.names == nil {
		m.names = map[tuf.KeyID]string{}
	}
	m.names[id] = name
}

// TellNews says which keys were made in files, when it is certain that they are kept.
func (m *Maker) TellNews() {
	for _, s := range m.news {
		m.k.opts.Note("%s", s)
	}
	m.news = nil
}

// TellOnDevices names the keys that a command which failed made on devices: they are there,
// and the same command with the same names uses them.
func (m *Maker) TellOnDevices() {
	m.news = nil
	for _, s := range m.onTokens {
		m.k.opts.Note("made on its device, and still there: key %s", s)
	}
}

// Undo takes the keys out of their files again that were made for a change which came to
// nothing, and names those that stay on devices.
func (m *Maker) Undo(cause error) error {
	m.TellOnDevices()
	for role, made := range m.Made {
		cause = errors.Join(cause, m.k.Files.Drop(m.k.FileOf(role), made))
	}
	m.Made = nil
	return cause
}

// KeyID is what root would call a public key, zero for a key that agents refuse.
func KeyID(pub crypto.PublicKey) tuf.KeyID {
	k, err := meta.NewKey(pub)
	if err != nil {
		return tuf.KeyID{}
	}
	return k.ID
}

// KeyIDText is the key ID for those who know nothing of TUF.
func KeyIDText(pub crypto.PublicKey) string { return KeyID(pub).String() }

// ImportedError: a root key that may exist elsewhere too.
type ImportedError struct {
	URI signer.URI
	Why string
}

func (e *ImportedError) Error() string {
	return fmt.Sprintf("key %q %s, so it may exist elsewhere too; root is not given to it", e.URI, e.Why)
}

// refuseImported asks the device where a root key comes from. Files and devices that
// do not tell are taken as they are.
func (k *Ring) refuseImported(ctx context.Context, ui signer.UI, ref signer.Ref) error {
	be, err := k.Backends.For(ref.URI)
	if err != nil {
		return err
	}
	d, ok := be.(signer.Describer)
	if !ok {
		return nil
	}
	info, err := d.Describe(ctx, ref, ui)
	if err != nil {
		return err
	}
	if why := Doubtful(info); why != "" {
		return &ImportedError{URI: ref.URI, Why: why}
	}
	return nil
}

// Doubtful says why a token key may exist elsewhere, "" if nothing speaks for it. A
// token that says nothing of LOCAL is believed (NSS says 0 of keys made there, but
// then NEVER_EXTRACTABLE tells).
func Doubtful(info signer.KeyInfo) string {
	is := func(b *bool) bool { return b != nil && *b }
	not := func(b *bool) bool { return b != nil && !*b }
	switch {
	case info.Origin == "imported":
		return "was imported into the card"
	case is(info.Extractable):
		return "can be taken out of its token"
	case not(info.Local) && not(info.NeverExtractable):
		return "was imported into its token, as the token reports"
	case not(info.NeverExtractable):
		return "could be taken out of its token once, as the token reports"
	}
	return ""
}

// adoptPub keeps the attestation that came with a public key, and its name. Whether the
// attestation proves anything is told by those who check it; one of another key is
// refused here.
func (m *Maker) adoptPub(u signer.URI, k PublicKey) error {
	if strings.ContainsFunc(k.Name, unicode.IsControl) || len(k.Name) > 64 {
		return misuse.Errorf("%q: the name in it is not one for people", u.Opaque)
	}
	if k.Name != "" {
		m.call(k.Key.ID, k.Name)
	}
	if k.Attestation == "" || m.k.opts.DryRun {
		return nil
	}
	block, _ := pem.Decode([]byte(k.Attestation))
	if block == nil {
		return misuse.Errorf("%q: the attestation in it is not a certificate", u.Opaque)
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil || !signer.SamePublic(leaf.PublicKey, k.Key.Public) {
		return misuse.Errorf("%q: the attestation in it is not of its key", u.Opaque)
	}
	if _, err := os.Stat(m.k.AttestationFile(k.Key.ID)); err == nil {
		return nil // the one that is here stays
	}
	return m.k.KeepAttestation(signer.Generated{Public: []crypto.PublicKey{k.Key.Public}, Attestation: []byte(k.Attestation)})
}

// KeyPolicy is what a new key on a card is made with.
type KeyPolicy struct{ PIN, Touch string }

// KeyPolicies says how keys are made on devices, by role.
type KeyPolicies struct {
	AttestationRoots []byte // PEM
	ByRole           map[string]KeyPolicy
}

// options are those of a new key for a role.
func (m KeyPolicies) options(role string, alg signer.Algorithm) signer.GenerateOptions {
	p := m.ByRole[role]
	return signer.GenerateOptions{
		Algorithm: alg, PINPolicy: p.PIN, TouchPolicy: p.Touch, KeyID: KeyIDText, AttestationRoots: m.AttestationRoots,
	}
}
