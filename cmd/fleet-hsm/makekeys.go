package main

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"unicode"

	"github.com/fleet-hsm/fleet-hsm/config"
	"github.com/fleet-hsm/fleet-hsm/internal/locator"
	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

func parseAlgorithm(s string) (signer.Algorithm, error) {
	if s == "" || slices.Contains(signer.Algorithms(), signer.Algorithm(s)) {
		return signer.Algorithm(s), nil
	}
	return "", usagef("--algorithm %q is none of p256, ed25519, rsa2048, rsa3072, rsa4096", s)
}

type makeOptions struct {
	generate  bool
	algorithm signer.Algorithm
	// imported accepts root keys that were not born on their token.
	imported bool
	// card is how keys are made on YubiKeys.
	card cardMaking
}

// makeKeys opens, or makes, the keys that a plan names, and gives their public parts
// by role. A role without URIs gets a new key in keys/<role>.json. Places on tokens
// and in other files are remembered in the configuration.
func (w *work) makeKeys(ctx context.Context, plan map[string][]signer.URI, o makeOptions) (map[string][]repo.Key, error) {
	keys := map[string][]repo.Key{}
	var places []config.Location
	for _, role := range repo.Roles() {
		uris, planned := plan[role]
		if !planned {
			continue
		}
		if len(uris) == 0 {
			made, err := w.makeFileKeys(ctx, role, 1, o.algorithm)
			if err != nil {
				return nil, err
			}
			keys[role] = made
			continue
		}
		for _, u := range uris {
			k, at, err := w.resolve(ctx, role, u, o)
			if err != nil {
				return nil, err
			}
			if slices.ContainsFunc(keys[role], func(other repo.Key) bool { return other.Fingerprint() == k.Fingerprint() }) {
				return nil, usagef("--%s-key %s is the same key as another one given for the role", role, u)
			}
			keys[role] = append(keys[role], k)
			if at.String() != roleFile(role).String() {
				places = append(places, config.Location{KeyID: k.ID, URI: at.WithQueryOf(u), Name: w.newName(k.ID)})
			}
		}
	}
	return keys, w.cfg.Remember(places, w.a.flagSettings())
}

// newName is the name that a public key came with, unless it has one here.
func (w *work) newName(keyID tuf.KeyID) string {
	if w.cfg.Keys[keyID].Name != "" {
		return ""
	}
	return w.pubNames[keyID]
}

// makeFileKeys makes new keys in keys/<role>.json.
func (w *work) makeFileKeys(ctx context.Context, role string, n int, alg signer.Algorithm) ([]repo.Key, error) {
	g, err := w.keys.files.Generate(ctx, signer.Ref{URI: roleFile(role), Roles: []string{role}},
		signer.GenerateOptions{Algorithm: alg, Count: n}, w.ui)
	if err != nil {
		return nil, err
	}
	var keys []repo.Key
	if w.made == nil {
		w.made = map[string][]crypto.PublicKey{}
	}
	w.made[role] = append(w.made[role], g.Public...)
	for _, pub := range g.Public {
		k, err := repo.NewKey(pub)
		if err != nil {
			return nil, err
		}
		w.news = append(w.news, fmt.Sprintf("Generated %s key with ID: %s", role, k.ID))
		keys = append(keys, k)
	}
	return keys, nil
}

// resolve gives the public part of the key that a URI names, and its full URI; with
// generate it is made if it is absent.
func (w *work) resolve(ctx context.Context, role string, u signer.URI, o makeOptions) (repo.Key, signer.URI, error) {
	if u.Kind().Elsewhere {
		k, err := w.readPub(u)
		if err == nil {
			err = w.adoptPub(u, k)
		}
		return k.key, k.at, err
	}
	ref := signer.Ref{URI: u, Roles: []string{role}}
	pub, at, err := w.publicOf(ctx, ref)
	if o.generate && errors.Is(err, signer.ErrKeyNotFound) {
		pub, at, err = w.generate(ctx, role, ref, o)
	}
	if err != nil {
		return repo.Key{}, signer.URI{}, err
	}
	if role == repo.RoleRoot && !o.imported {
		if err := w.refuseImported(ctx, signer.Ref{URI: at, Pinned: pub, Roles: ref.Roles}); err != nil {
			return repo.Key{}, signer.URI{}, err
		}
	}
	k, err := repo.NewKey(pub)
	return k, at, err
}

func (w *work) publicOf(ctx context.Context, ref signer.Ref) (crypto.PublicKey, signer.URI, error) {
	s, err := w.keys.backends.Open(ctx, ref, w.ui)
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

func (w *work) generate(ctx context.Context, role string, ref signer.Ref, o makeOptions) (crypto.PublicKey, signer.URI, error) {
	be, err := w.keys.backends.For(ref.URI)
	if err != nil {
		return nil, signer.URI{}, err
	}
	g, ok := be.(signer.Generator)
	if !ok {
		return nil, signer.URI{}, &signer.UnsupportedError{What: "making keys of the kind " + ref.URI.Scheme + ":", Why: "this build cannot"}
	}
	made, err := g.Generate(ctx, ref, o.card.options(role, o.algorithm), w.ui)
	if err != nil {
		return nil, signer.URI{}, err
	}
	if err := w.a.keepAttestation(made); err != nil {
		return nil, signer.URI{}, err
	}
	for _, s := range made.Warnings {
		w.a.warn("%s: %s", made.URI, s)
	}
	w.onTokens = append(w.onTokens, fmt.Sprintf("%s (%s)", keyIDOf(made.Public[0]), made.URI))
	w.a.note("Generated %s key with ID: %s (%s)", role, keyIDOf(made.Public[0]), made.URI)
	return made.Public[0], made.URI, nil
}

// tellNews says which keys were made in files, when it is certain that they are kept.
func (w *work) tellNews() {
	for _, s := range w.news {
		w.a.note("%s", s)
	}
	w.news = nil
}

// tellOnTokens names the keys that a command which failed made on devices: they are there,
// and the same command with the same names uses them.
func (w *work) tellOnTokens() {
	w.news = nil
	for _, s := range w.onTokens {
		w.a.note("made on its device, and still there: key %s", s)
	}
}

// keyIDOf is what root would call a public key, zero for a key that agents refuse.
func keyIDOf(pub crypto.PublicKey) tuf.KeyID {
	k, err := repo.NewKey(pub)
	if err != nil {
		return tuf.KeyID{}
	}
	return k.ID
}

// nameOf is keyIDOf for those who know nothing of TUF.
func nameOf(pub crypto.PublicKey) string { return keyIDOf(pub).String() }

// importedError: a root key that may exist elsewhere too.
type importedError struct {
	uri signer.URI
	why string
}

func (e *importedError) Error() string {
	return fmt.Sprintf("key %q %s, so it may exist elsewhere too; root is not given to it", e.uri, e.why)
}

// refuseImported asks the device where a root key comes from. Files and devices that
// do not tell are taken as they are.
func (w *work) refuseImported(ctx context.Context, ref signer.Ref) error {
	be, err := w.keys.backends.For(ref.URI)
	if err != nil {
		return err
	}
	d, ok := be.(signer.Describer)
	if !ok {
		return nil
	}
	info, err := d.Describe(ctx, ref, w.ui)
	if err != nil {
		return err
	}
	if why := doubtful(info); why != "" {
		return &importedError{uri: ref.URI, why: why}
	}
	return nil
}

// doubtful says why a token key may exist elsewhere, "" if nothing speaks for it. A
// token that says nothing of LOCAL is believed (NSS says 0 of keys made there, but
// then NEVER_EXTRACTABLE tells).
func doubtful(info signer.KeyInfo) string {
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

// pubFile is what key export writes: the public part of a key that is elsewhere.
type pubFile struct {
	Schema      int       `json:"schema"`
	KeyID       tuf.KeyID `json:"keyid"`
	Public      string    `json:"public"` // PEM SubjectPublicKeyInfo
	URI         string    `json:"uri,omitempty"`
	Name        string    `json:"name,omitempty"`        // what people call it
	Attestation string    `json:"attestation,omitempty"` // PEM chain
}

type pubKey struct {
	key repo.Key
	at  signer.URI
	// name and attestation are what its holder says of it.
	name, attestation string
}

// adoptPub keeps the attestation that came with a public key, and its name. Whether the
// attestation proves anything is told by those who check it; one of another key is
// refused here.
func (w *work) adoptPub(u signer.URI, k pubKey) error {
	if strings.ContainsFunc(k.name, unicode.IsControl) || len(k.name) > 64 {
		return usagef("%q: the name in it is not one for people", u.Opaque)
	}
	if k.name != "" {
		if w.pubNames == nil {
			w.pubNames = map[tuf.KeyID]string{}
		}
		w.pubNames[k.key.ID] = k.name
	}
	if k.attestation == "" {
		return nil
	}
	block, _ := pem.Decode([]byte(k.attestation))
	if block == nil {
		return usagef("%q: the attestation in it is no certificate", u.Opaque)
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil || !signer.SamePublic(leaf.PublicKey, k.key.Public) {
		return usagef("%q: the attestation in it is not of its key", u.Opaque)
	}
	if _, err := os.Stat(w.a.attestationFile(k.key.ID)); err == nil {
		return nil // the one that is here stays
	}
	return w.a.keepAttestation(signer.Generated{Public: []crypto.PublicKey{k.key.Public}, Attestation: []byte(k.attestation)})
}

func (w *work) readPub(u signer.URI) (pubKey, error) {
	file := u.Opaque
	data, err := config.ReadBounded(file, config.MaxSize)
	if err != nil {
		return pubKey{}, usage(fmt.Errorf("%q: %w", file, err))
	}
	var f pubFile
	err = json.Unmarshal(data, &f)
	if bad := (*tuf.KeyIDError)(nil); errors.As(err, &bad) {
		return pubKey{}, usagef("%q: the key ID in it is not that of its key", file)
	}
	if err != nil || f.Schema != 1 {
		return pubKey{}, usagef(`%q is not what "fleet-hsm key export" writes`, file)
	}
	pub, err := parsePublicPEM(f.Public)
	if err != nil {
		return pubKey{}, usage(fmt.Errorf("%q: %w", file, err))
	}
	k, err := repo.NewKey(pub)
	if err != nil {
		return pubKey{}, err
	}
	if f.KeyID != k.ID {
		return pubKey{}, usagef("%q: the key ID in it is not that of its key", file)
	}
	at := u
	if f.URI != "" {
		l, err := locator.Parse(f.URI)
		if err == nil && !l.IsZero() {
			at, err = w.a.kinds.Parse(l.String())
		}
		if err == nil && !l.IsZero() && !at.ToldBy() {
			err = &signer.URIError{URI: l.String(), Reason: "others cannot say that"}
		}
		if err != nil {
			return pubKey{}, usage(fmt.Errorf("%q: %w", file, err))
		}
	}
	return pubKey{key: k, at: at, name: f.Name, attestation: f.Attestation}, nil
}
