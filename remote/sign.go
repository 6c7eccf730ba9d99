package remote

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/fleet-hsm/fleet-hsm/config"
	"github.com/fleet-hsm/fleet-hsm/internal/misuse"
	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/keyring"
	"github.com/fleet-hsm/fleet-hsm/online"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/signer"
	"github.com/fleet-hsm/fleet-hsm/store"
)

// SignerOptions say what signs timestamps straight on a store, and with which keys.
type SignerOptions struct {
	Store  store.Store
	Root   []byte // trusted
	Keys   *keyring.Ring
	Person signer.UI
	Config *config.Config
	// StateFile is where it remembers, "" for a place of its own for this store.
	StateFile string
	// Now is this machine's clock.
	Now func() time.Time
}

// Signer joins a store, a trusted root and the timestamp keys within reach.
func Signer(ctx context.Context, o SignerOptions) (online.Config, error) {
	sources, err := timestampKeys(o.Keys, o.Person, o.Config, o.Root)
	if err != nil {
		return online.Config{}, err
	}
	if len(sources) == 0 {
		return online.Config{}, misuse.Errorf("name the timestamp key with --timestamp-key URI, or in keys: of the configuration")
	}
	if err := o.Keys.CheckPINSources(ctx, nil); err != nil {
		return online.Config{}, err
	}
	if o.StateFile == "" {
		if o.StateFile, err = online.StateFileFor(o.Store.String()); err != nil {
			return online.Config{}, err
		}
	}
	return online.Config{
		StateFile: o.StateFile, Store: store.Plain{Store: o.Store}, Root: o.Root, Keys: sources,
		Expires: o.Config.Expiries[meta.RoleTimestamp], Silent: silentDevice, Clock: online.ClockOf(o.Now),
	}, nil
}

// timestampKeys lists where timestamp keys may be, in the order in which they are
// asked: the flags, or the configuration's keys that are or may become timestamp keys,
// then keys/timestamp.json.
func timestampKeys(k *keyring.Ring, ui signer.UI, cfg *config.Config, trusted []byte) ([]online.KeySource, error) {
	if len(k.URIs[meta.RoleTimestamp]) == 0 {
		root, err := meta.ReadRoot("trusted root", trusted)
		if err != nil {
			return nil, err
		}
		// From here on they count where a PIN source could mean two tokens.
		k.URIs[meta.RoleTimestamp] = configured(cfg, root)
		if file := keyring.RoleFile(meta.RoleTimestamp); k.Files.Exists(file) {
			k.URIs[meta.RoleTimestamp] = append(k.URIs[meta.RoleTimestamp], file)
		}
	}
	var out []online.KeySource
	seen := map[string]bool{}
	for _, u := range k.URIs[meta.RoleTimestamp] {
		if !seen[u.String()] {
			seen[u.String()] = true
			out = append(out, keySource{k, ui, u})
		}
	}
	return out, nil
}

// configured gives the places of the keys that root names for timestamp, then of those
// that it names for nothing: a later root may. Both in the order of key IDs. Keys of
// other roles are left alone: nobody must be asked for the card of a root key.
func configured(cfg *config.Config, root *meta.Root) []signer.URI {
	role := map[tuf.KeyID]string{}
	for _, name := range meta.Roles() {
		for _, key := range root.Keys(name) {
			if role[key.ID] != meta.RoleTimestamp {
				role[key.ID] = name
			}
		}
	}
	var now, later []signer.URI
	for _, id := range slices.SortedFunc(maps.Keys(cfg.Locations), tuf.KeyID.Compare) {
		switch role[id] {
		case meta.RoleTimestamp:
			now = append(now, cfg.Locations[id])
		case "":
			later = append(later, cfg.Locations[id])
		}
	}
	return append(now, later...)
}

// keySource is a place of a key, for online.
type keySource struct {
	k   *keyring.Ring
	ui  signer.UI
	uri signer.URI
}

func (s keySource) Name() string { return s.uri.String() }

// Open opens whichever of the role's keys is there.
func (s keySource) Open(ctx context.Context, role []crypto.PublicKey) (online.Key, error) {
	var last error
	for _, pub := range role {
		key, err := s.k.Backends.Open(ctx, signer.Ref{URI: s.uri, Pinned: pub, Roles: []string{meta.RoleTimestamp}}, s.ui)
		if err != nil {
			last = err
			if errors.Is(err, signer.ErrKeyChanged) {
				continue
			}
			return nil, err
		}
		if u, ok := key.(signer.Unlocker); ok && s.uri.Kind().Sealed {
			if err := u.Unlock(ctx); err != nil {
				last = errors.Join(err, key.Close())
				if errors.Is(err, signer.ErrKeyChanged) {
					continue
				}
				return nil, last
			}
		}
		return key, nil
	}
	return nil, fmt.Errorf("%w: %w", online.ErrNoKey, last)
}

// silentDevice: no answer came from a key's device. After a wrong PIN there must be no
// new process on that account: it would offer that PIN again.
func silentDevice(err error) bool {
	return (errors.Is(err, signer.ErrUnreachable) || errors.Is(err, signer.ErrDeadline)) &&
		!errors.Is(err, signer.ErrPINIncorrect) && !errors.Is(err, signer.ErrPINLocked)
}
