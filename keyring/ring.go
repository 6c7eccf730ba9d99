package keyring

import (
	"cmp"
	"context"
	"crypto"
	"errors"
	"fmt"
	"sync"

	"github.com/fleet-hsm/fleet-hsm/config"
	"github.com/fleet-hsm/fleet-hsm/internal/locator"
	"github.com/fleet-hsm/fleet-hsm/internal/misuse"
	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

// Files is the back end of encrypted key files: what the layout of a repository needs of
// it besides opening keys.
type Files interface {
	signer.Generator
	signer.KeyLister
	Exists(at signer.URI) bool
	KeepsPrivate(at signer.URI) error
	Unlock(ctx context.Context, ref signer.Ref, ui signer.UI) error
	Passwd(ctx context.Context, ref signer.Ref, ui signer.UI) error
	Drop(at signer.URI, made []crypto.PublicKey) error
	Retire(at signer.URI, keep []crypto.PublicKey) (int, error)
}

// Hint is what somebody else says of where a key is; it decides nothing.
type Hint struct {
	// URI names a device, and nothing else; zero for none.
	URI locator.Locator
	// Said is all of it for people, safe to show.
	Said string
	// Attestation is a chain of certificates that came with it, "" for none.
	Attestation string
}

// Ring joins what root names (public keys) with where this machine has them (URIs). It
// opens a key when it is first used and keeps it for the command.
type Ring struct {
	opts     Options
	Files    Files
	Backends signer.Backends
	// URIs are those of the --<role>-key flags, by role.
	URIs map[string][]signer.URI
	open map[tuf.KeyID]signer.Signer
	// Hints are what a request says of where keys are, by key ID.
	Hints map[tuf.KeyID]Hint
	// checker: see attesting.
	checker *checker
	// standIns are keys of a dry run, by what they stand for.
	standIns map[tuf.KeyID]string
}

// Options are what a keychain needs of the command.
type Options struct {
	Kinds signer.Kinds
	// Folder is that of the repository; keys/ and attestations/ are below it.
	Folder string
	Config *config.Config
	// Settings are those that count, given those of them that flags name.
	Settings, Given signer.Settings
	// DryRun: no key is made, nothing is written, and no secret is asked for.
	DryRun bool
	// Foreign: the folder came with a request, and nothing in it counts.
	Foreign bool
	// PINSource is --pin-source; sources tells where each PIN would come from.
	PINSource string
	Sources   Sources
	// Note and warn talk to the person.
	Note, Warn func(format string, args ...any)
	// Signed is told of each signature; nil for nobody.
	Signed func(d *meta.Doc, key meta.Key, at signer.URI, sig []byte) error
}

// Sources says where the PIN of a token, or the passphrase of a role's key file, would come
// from without a person.
type Sources interface {
	PINSources(r signer.SecretRequest) ([]string, error)
	OwnSources(at signer.URI) ([]string, error)
	EnvPassphrase(role string) bool
}

// UI is the person, as signing asks.
type UI interface {
	signer.UI
	// InsertAny asks for one of several devices; false: another time.
	InsertAny(ctx context.Context, at []signer.URI, role string) (bool, error)
	// OnceMore asks whether a touch that did not come is to be waited for again.
	OnceMore(ctx context.Context, at signer.URI) bool
	// Named is what people call a device that is absent.
	Named(at signer.URI) string
}

// New makes the back ends; it opens nothing.
func New(o Options) (*Ring, error) {
	backends := o.Kinds.Backends(o.Folder, o.Settings)
	be, err := backends.For(RoleFile(meta.RoleRoot))
	if err != nil {
		return nil, err
	}
	files, ok := be.(Files)
	if !ok {
		return nil, fmt.Errorf("%T does not keep key files", be)
	}
	return &Ring{opts: o, Files: files, Backends: backends, URIs: map[string][]signer.URI{}, open: map[tuf.KeyID]signer.Signer{}, standIns: map[tuf.KeyID]string{}}, nil
}

// Close gives all keys and devices back.
func (k *Ring) Close() error {
	var errs []error
	for _, s := range k.open {
		errs = append(errs, s.Close())
	}
	return errors.Join(append(errs, k.Backends.Close())...)
}

// Add names a place of a role's keys, as a flag does.
func (k *Ring) Add(role, uri string) error {
	u, err := k.Parse(uri)
	if err != nil {
		return err
	}
	k.URIs[role] = append(k.URIs[role], u)
	return nil
}

// errNotHere: nothing says where the key could be.
var errNotHere = errors.New("not on this machine")

// RoleFile is where fleetctl keeps the keys of a role.
func RoleFile(role string) signer.URI { return signer.FileURI("keys/" + role + ".json") }

// keyRoles lists the roles under which keys are kept.
func keyRoles() []string { return append(meta.Roles(), meta.RoleCold) }

// Candidate is a place where a key may be.
type Candidate struct {
	URI signer.URI
	// guess: another key there means only that this is not the place.
	guess bool
	// fromRequest: only a request says so. A PIN that was given for no token by name is not
	// offered there.
	fromRequest bool
}

// Candidates lists the places where a key may be, without looking.
func (k *Ring) Candidates(role string, key meta.Key) []Candidate {
	cfg := k.opts.Config
	var out []Candidate
	for _, u := range k.URIs[role] {
		// pub:FILE names a key that is elsewhere.
		if !u.Kind().Elsewhere {
			out = append(out, Candidate{URI: u, guess: true})
		}
	}
	if u, ok := cfg.Locations[key.ID]; ok && !u.Kind().Elsewhere {
		out = append(out, Candidate{URI: u})
	}
	if k.Files.Exists(RoleFile(role)) {
		out = append(out, Candidate{URI: RoleFile(role), guess: true})
	}
	return out
}

// signer opens a key of a role, wherever it is. errNotHere (wrapped) if no place is
// known or it is in none of them.
func (k *Ring) signer(ctx context.Context, ui UI, role string, key meta.Key) (signer.Signer, error) {
	if s, ok := k.open[key.ID]; ok {
		return s, nil
	}
	absent := error(nil)
	for _, c := range k.Candidates(role, key) {
		s, err := k.openAt(ctx, ui, c, role, key)
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
	return k.onTokens(ctx, ui, role, key)
}

func (k *Ring) openAt(ctx context.Context, ui UI, c Candidate, role string, key meta.Key) (signer.Signer, error) {
	s, err := k.Backends.Open(ctx, signer.Ref{URI: c.URI, Pinned: key.Public, Roles: []string{role}}, atHand{ui, c.fromRequest})
	if err != nil {
		return nil, err
	}
	// Which keys a file holds shows only when it is unlocked, and it is about to be.
	if u, ok := s.(signer.Unlocker); ok && c.URI.Kind().Sealed {
		if err := u.Unlock(ctx); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	return s, nil
}

// onTokens looks among the public keys of what is plugged in, without any secret.
func (k *Ring) onTokens(ctx context.Context, ui UI, role string, key meta.Key) (signer.Signer, error) {
	u := k.find(ctx, key)
	if u.IsZero() {
		return k.fromHint(ctx, ui, role, key)
	}
	s, err := k.openAt(ctx, ui, Candidate{URI: u}, role, key)
	if err == nil {
		k.open[key.ID] = s
	}
	return s, err
}

// find says where a public key is shown by what is plugged in; zero for nowhere.
func (k *Ring) find(ctx context.Context, key meta.Key) signer.URI {
	for _, kind := range k.opts.Kinds {
		f, ok := k.Backends[kind.Scheme].(signer.Finder)
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

// fromHint tries the device that a request names, if it is plugged in: an old card does
// not show its public keys, and so nobody finds them there. It is looked for among what
// this machine's own module and readers show; a hint cannot name others.
func (k *Ring) fromHint(ctx context.Context, ui UI, role string, key meta.Key) (signer.Signer, error) {
	absent := fmt.Errorf("key %s: %w", key.ShortID(), errNotHere)
	u, err := k.opts.Kinds.Parse(k.Hints[key.ID].URI.String())
	if err != nil || !u.ToldBy() {
		return nil, absent
	}
	t, ok := k.Backends[u.Scheme].(signer.Tokener)
	if !ok {
		return nil, absent
	}
	if here, err := t.Tokens(ctx, u); err != nil || len(here) != 1 || here[0].Problem != "" {
		return nil, absent
	}
	s, err := k.openAt(ctx, ui, Candidate{URI: u, guess: true, fromRequest: true}, role, key)
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

// Name is what people call a key: its name in the configuration and its URI, or the
// key ID.
func (k *Ring) Name(role string, key meta.Key) string {
	cfg := k.opts.Config
	u, known := cfg.Locations[key.ID]
	name := cfg.Keys[key.ID].Name
	switch {
	case k.standIns[key.ID] != "":
		return k.standIns[key.ID]
	case known && name != "":
		return name + ", " + u.String()
	case known:
		return u.String()
	case k.Hints[key.ID].Said != "":
		return "key " + key.ShortID() + " (" + k.Hints[key.ID].Said + ", as the request says)"
	case len(k.URIs[role]) == 0 && k.Files.Exists(RoleFile(role)):
		return "key " + key.ShortID() + ", " + RoleFile(role).String() + " or elsewhere"
	case len(k.URIs[role]) == 1:
		return "key " + key.ShortID() + " (not in " + k.URIs[role][0].String() + ")"
	}
	return "key " + key.ShortID()
}

// Prefetch unlocks the key files of roles side by side, as far as no person has to
// be asked; what it finds is used later, and errors are reported then.
func (k *Ring) Prefetch(ctx context.Context, ui signer.UI, roles ...string) *sync.WaitGroup {
	var wg sync.WaitGroup
	for _, role := range roles {
		if k.opts.DryRun || !k.Files.Exists(RoleFile(role)) || !k.opts.Sources.EnvPassphrase(role) {
			continue
		}
		wg.Go(func() {
			_ = k.Files.Unlock(ctx, signer.Ref{URI: RoleFile(role), Roles: []string{role}}, ui)
		})
	}
	return &wg
}

// notOnlyFiles refuses --pin-source where every key of the command is in a file.
func (k *Ring) notOnlyFiles(keys map[string][]meta.Key) error {
	cfg := k.opts.Config
	service := false
	for _, role := range keyRoles() {
		for _, u := range k.URIs[role] {
			if u.OnToken() {
				return nil
			}
			service = service || u.OnDevice()
		}
		for _, key := range keys[role] {
			u, ok := cfg.Locations[key.ID]
			service = service || u.OnDevice()
			if ok && u.OnToken() || !ok && !k.Files.Exists(RoleFile(role)) {
				return nil
			}
		}
	}
	if service {
		return misuse.Errorf("--pin-source is for the PIN of a token, and no key that this command uses is on one")
	}
	return config.PINSourceOfFile("every key that this command uses")
}

// KnownAs is the name of a key in the configuration, "" without one.
func (k *Ring) KnownAs(id tuf.KeyID) string {
	return cmp.Or(k.standIns[id], k.opts.Config.Keys[id].Name)
}

// SaidOf is what a request says of where a key is, safe to show; "" for nothing.
func (k *Ring) SaidOf(id tuf.KeyID) string { return k.Hints[id].Said }
