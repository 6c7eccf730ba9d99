package main

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"sync"

	"github.com/spf13/pflag"

	"github.com/fleet-hsm/fleet-hsm/ceremony"
	"github.com/fleet-hsm/fleet-hsm/config"
	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/prompt"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

// fileBackend is the back end of encrypted key files: what the layout of a repository needs of
// it besides opening keys.
type fileBackend interface {
	signer.Generator
	signer.KeyLister
	Exists(at signer.URI) bool
	KeepsPrivate(at signer.URI) error
	Unlock(ctx context.Context, ref signer.Ref, ui signer.UI) error
	Passwd(ctx context.Context, ref signer.Ref, ui signer.UI) error
	Drop(at signer.URI, made []crypto.PublicKey) error
	Retire(at signer.URI, keep []crypto.PublicKey) (int, error)
}

// keychain joins what root names (public keys) with where this machine has them
// (URIs). It opens a key when it is first used and keeps it for the command.
type keychain struct {
	a        *app
	files    fileBackend
	backends signer.Backends
	// uris are those of the --<role>-key flags, by role.
	uris map[string][]signer.URI
	open map[tuf.KeyID]signer.Signer
	// hints are what a request says of where keys are, by key ID; they decide nothing.
	hints map[tuf.KeyID]ceremony.Hint
}

func (a *app) keychain() (*keychain, error) {
	if a.keys != nil {
		return a.keys, nil
	}
	settings, err := a.settings()
	if err != nil {
		return nil, err
	}
	backends := a.kinds.Backends(a.path, settings)
	be, err := backends.For(roleFile(repo.RoleRoot))
	if err != nil {
		return nil, err
	}
	files, ok := be.(fileBackend)
	if !ok {
		return nil, fmt.Errorf("%T does not keep key files", be)
	}
	a.keys = &keychain{a: a, files: files, backends: backends, uris: map[string][]signer.URI{}, open: map[tuf.KeyID]signer.Signer{}}
	return a.keys, nil
}

func (k *keychain) close() error {
	var errs []error
	for _, s := range k.open {
		errs = append(errs, s.Close())
	}
	return errors.Join(append(errs, k.backends.Close())...)
}

// roleKeyFlags are --root-key URI and so on.
type roleKeyFlags map[string]*[]string

func addRoleKeyFlags(f *pflag.FlagSet, roles ...string) roleKeyFlags {
	flags := roleKeyFlags{}
	for _, role := range roles {
		flags[role] = f.StringArray(role+"-key", nil, "where a "+role+" key is (URI; may be given more than once)")
	}
	return flags
}

// use parses the URIs of the flags.
func (k *keychain) use(flags roleKeyFlags) error {
	for role, list := range flags {
		for _, s := range *list {
			u, err := k.a.kinds.Parse(s)
			if err != nil {
				return err
			}
			k.uris[role] = append(k.uris[role], u)
		}
	}
	return nil
}

// errNotHere: nothing says where the key could be.
var errNotHere = errors.New("not on this machine")

// roleFile is where fleetctl keeps the keys of a role.
func roleFile(role string) signer.URI { return signer.FileURI("keys/" + role + ".json") }

// candidate is a place where a key may be.
type candidate struct {
	uri signer.URI
	// guess: another key there means only that this is not the place.
	guess bool
	// hinted: only a request says so. A PIN that was given for no token by name is not
	// offered there.
	hinted bool
}

func (k *keychain) candidates(role string, key repo.Key) ([]candidate, error) {
	cfg, err := k.a.config()
	if err != nil {
		return nil, err
	}
	var out []candidate
	for _, u := range k.uris[role] {
		// pub:FILE names a key that is elsewhere.
		if !u.Kind().Elsewhere {
			out = append(out, candidate{uri: u, guess: true})
		}
	}
	if u, ok := cfg.Locations[key.ID]; ok && !u.Kind().Elsewhere {
		out = append(out, candidate{uri: u})
	}
	if k.files.Exists(roleFile(role)) {
		out = append(out, candidate{uri: roleFile(role), guess: true})
	}
	return out, nil
}

// signer opens a key of a role, wherever it is. errNotHere (wrapped) if no place is
// known or it is in none of them.
func (k *keychain) signer(ctx context.Context, ui asker, role string, key repo.Key) (signer.Signer, error) {
	if s, ok := k.open[key.ID]; ok {
		return s, nil
	}
	list, err := k.candidates(role, key)
	if err != nil {
		return nil, err
	}
	absent := error(nil)
	for _, c := range list {
		s, err := k.try(ctx, ui, c, role, key)
		if err == nil {
			k.open[key.ID] = s
			return s, nil
		}
		if c.guess && (errors.Is(err, signer.ErrKeyChanged) || errors.Is(err, signer.ErrKeyNotFound)) {
			continue
		}
		if !absentDevice(err) {
			return nil, err
		}
		absent = err
	}
	if absent != nil {
		return nil, absent
	}
	return k.found(ctx, ui, role, key)
}

func (k *keychain) try(ctx context.Context, ui asker, c candidate, role string, key repo.Key) (signer.Signer, error) {
	s, err := k.backends.Open(ctx, signer.Ref{URI: c.uri, Pinned: key.Public, Roles: []string{role}}, atHand{ui, c.hinted})
	if err != nil {
		return nil, err
	}
	// Which keys a file holds shows only when it is unlocked, and it is about to be.
	if u, ok := s.(signer.Unlocker); ok && c.uri.Kind().Sealed {
		if err := u.Unlock(ctx); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	return s, nil
}

// found looks among the public keys of what is plugged in, without any secret.
func (k *keychain) found(ctx context.Context, ui asker, role string, key repo.Key) (signer.Signer, error) {
	u := k.find(ctx, key)
	if u.IsZero() {
		return k.hinted(ctx, ui, role, key)
	}
	s, err := k.try(ctx, ui, candidate{uri: u}, role, key)
	if err == nil {
		k.open[key.ID] = s
	}
	return s, err
}

// find says where a public key is shown by what is plugged in; zero for nowhere.
func (k *keychain) find(ctx context.Context, key repo.Key) signer.URI {
	for _, kind := range k.a.kinds {
		f, ok := k.backends[kind.Scheme].(signer.Finder)
		if !ok {
			continue
		}
		// A module or card service that is not there has no keys to offer.
		if u, err := f.Find(ctx, key.Public); err == nil && !u.IsZero() {
			return u
		}
	}
	return signer.URI{}
}

// hinted tries the device that a request names, if it is plugged in: an old card does
// not show its public keys, and so nobody finds them there. It is looked for among what
// this machine's own module and readers show; a hint cannot name others.
func (k *keychain) hinted(ctx context.Context, ui asker, role string, key repo.Key) (signer.Signer, error) {
	absent := fmt.Errorf("key %s: %w", key.ShortID(), errNotHere)
	u, err := k.a.kinds.Parse(k.hints[key.ID].URI.String())
	if err != nil || !u.ToldBy() {
		return nil, absent
	}
	t, ok := k.backends[u.Scheme].(signer.Tokener)
	if !ok {
		return nil, absent
	}
	if here, err := t.Tokens(ctx, u); err != nil || len(here) != 1 || here[0].Problem != "" {
		return nil, absent
	}
	s, err := k.try(ctx, ui, candidate{uri: u, guess: true, hinted: true}, role, key)
	switch {
	case err == nil:
		k.open[key.ID] = s
		return s, nil
	case errors.Is(err, signer.ErrKeyChanged), absentDevice(err):
		return nil, absent
	}
	return nil, err
}

// absentDevice: the key's place is known, and its device is not plugged in. A machine
// on which nothing names a module for it has no token either.
func absentDevice(err error) bool {
	return errors.Is(err, signer.ErrNoToken) || errors.Is(err, signer.ErrKeyNotFound) || errors.Is(err, signer.ErrNotNamed)
}

// notHere: this key cannot sign here and now, and another may.
func notHere(err error) bool { return errors.Is(err, errNotHere) || absentDevice(err) }

// name is what people call a key: its name in the configuration and its URI, or the
// key ID.
func (k *keychain) name(role string, key repo.Key) string {
	cfg, err := k.a.config()
	if err != nil {
		return "key " + key.ShortID()
	}
	u, known := cfg.Locations[key.ID]
	name := cfg.Keys[key.ID].Name
	switch {
	case known && name != "":
		return name + ", " + u.String()
	case known:
		return u.String()
	case sayHint(k.hints[key.ID]) != prompt.Text{}:
		return "key " + key.ShortID() + " (" + sayHint(k.hints[key.ID]).String() + ", as the request says)"
	case len(k.uris[role]) == 0 && k.files.Exists(roleFile(role)):
		return "key " + key.ShortID() + ", " + roleFile(role).String() + " or elsewhere"
	case len(k.uris[role]) == 1:
		return "key " + key.ShortID() + " (not in " + k.uris[role][0].String() + ")"
	}
	return "key " + key.ShortID()
}

// prefetch unlocks the key files of roles side by side, as far as no person has to
// be asked; what it finds is used later, and errors are reported then.
func (k *keychain) prefetch(ctx context.Context, roles ...string) *sync.WaitGroup {
	var wg sync.WaitGroup
	ui := k.a.person() // one for all of them
	for _, role := range roles {
		if !k.files.Exists(roleFile(role)) || !ui.EnvPassphrase(role) {
			continue
		}
		wg.Go(func() {
			_ = k.files.Unlock(ctx, signer.Ref{URI: roleFile(role), Roles: []string{role}}, ui)
		})
	}
	return &wg
}

// notOnlyFiles refuses --pin-source where every key of the command is in a file.
func (k *keychain) notOnlyFiles(keys map[string][]repo.Key) error {
	cfg, err := k.a.config()
	if err != nil {
		return err
	}
	for _, role := range repo.Roles() {
		for _, u := range k.uris[role] {
			if u.OnDevice() {
				return nil
			}
		}
		for _, key := range keys[role] {
			if u, ok := cfg.Locations[key.ID]; ok && u.OnDevice() || !ok && !k.files.Exists(roleFile(role)) {
				return nil
			}
		}
	}
	return config.PINSourceOfFile("every key that this command uses")
}
