package keyring

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/fleet-hsm/fleet-hsm/config"
	"github.com/fleet-hsm/fleet-hsm/internal/misuse"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

// One PIN, one token. A source of a PIN that would be offered to two tokens in one
// command costs the second one a try, so it is refused before any token is logged in to.
// Tokens are told apart by module and serial number: two may have one label, and one
// token may be written in two ways.

// pinUse is where one source of a PIN would go.
type pinUse struct {
	name string // of the source, for people
	// anyToken: the source names no token (--pin-source, $FLEET_ROOT_PIN), so it counts only
	// if one token serves its role at all, plugged in or not.
	anyToken  bool
	locations []signer.URI
}

// CheckPINSources refuses a source that two tokens would be offered. keys may have to
// sign in this command, besides those that flags name.
func (k *Ring) CheckPINSources(ctx context.Context, keys map[string][]meta.Key) error {
	if s := k.opts.PINSource; s != "" {
		if err := config.CheckSource(s); err != nil {
			return misuse.Errorf("--pin-source: %w", err)
		}
	}
	uses, err := k.pinUses(ctx, keys)
	if err != nil {
		return err
	}
	if k.opts.PINSource != "" && uses["--pin-source"] == nil {
		if err := k.notOnlyFiles(keys); err != nil {
			return err
		}
	}
	for _, source := range slices.Sorted(maps.Keys(uses)) {
		use := uses[source]
		if tokens := k.tokensOf(ctx, use); len(tokens) > 1 {
			return misuse.Errorf("%s could mean each of %s; give each token its own source (secrets: in the configuration, or pin-source= in its URI)",
				use.name, strings.Join(tokens, ", "))
		}
	}
	return nil
}

// pinUses says which source each token of the command would be offered: the first that
// applies, as package prompt has them.
func (k *Ring) pinUses(ctx context.Context, keys map[string][]meta.Key) (map[string]*pinUse, error) {
	uses := map[string]*pinUse{}
	for _, role := range keyRoles() {
		locations, err := k.tokenLocations(ctx, role, keys[role])
		if err != nil {
			return nil, err
		}
		for _, u := range locations {
			sources, err := k.opts.Sources.PINSources(signer.SecretRequest{URI: u, Roles: []string{role}})
			if err != nil {
				return nil, err
			}
			if len(sources) == 0 {
				continue // a person types it
			}
			own, err := k.opts.Sources.OwnSources(u)
			if err != nil {
				return nil, err
			}
			use := pinUse{name: fmt.Sprintf("%q", sources[0]), anyToken: len(own) == 0}
			key := sameSource(sources[0])
			if name, ok := strings.CutPrefix(sources[0], "env:"); ok && use.anyToken {
				use.name = "$" + name
			}
			if use.anyToken && sources[0] == k.opts.PINSource {
				use.name, key = "--pin-source", "--pin-source"
			}
			if uses[key] == nil {
				uses[key] = &use
			}
			uses[key].anyToken = uses[key].anyToken || use.anyToken
			uses[key].locations = append(uses[key].locations, u)
		}
	}
	return uses, nil
}

// sameSource is one text for the ways to write one file.
func sameSource(s string) string {
	if name, ok := strings.CutPrefix(s, "file:"); ok {
		if full, err := filepath.Abs(name); err == nil {
			return "file:" + full
		}
	}
	return s
}

// tokenLocations lists the locations on tokens at which keys of a role are: named by flags, by
// the configuration, or found among what is plugged in.
func (k *Ring) tokenLocations(ctx context.Context, role string, keys []meta.Key) ([]signer.URI, error) {
	cfg := k.opts.Config
	var out []signer.URI
	for _, u := range k.URIs[role] {
		if u.OnToken() {
			out = append(out, u)
		}
	}
	// A token that nobody has named may be offered a PIN too, if there is one for any.
	any, err := k.opts.Sources.PINSources(signer.SecretRequest{Roles: []string{role}})
	if err != nil {
		return nil, err
	}
	shared := len(any) > 0 || len(cfg.SecretSources) > 0
	for _, key := range keys {
		u, known := cfg.Locations[key.ID]
		if !known && shared && len(k.URIs[role]) == 0 && !k.Files.Exists(RoleFile(role)) {
			u = k.find(ctx, key)
		}
		if u.OnToken() {
			out = append(out, u)
		}
	}
	return out, nil
}

// tokensOf names the distinct tokens of a use. Whether two texts mean one token is asked
// of the devices, without any PIN.
func (k *Ring) tokensOf(ctx context.Context, use *pinUse) []string {
	devices := map[string]signer.URI{}
	for _, u := range use.locations {
		devices[u.Behind()] = u
	}
	texts := slices.Sorted(maps.Keys(devices))
	if len(texts) < 2 {
		return texts
	}
	seen := map[string]string{} // name by identity
	for _, text := range texts {
		id, name, here := k.identify(ctx, text, devices[text])
		if here || use.anyToken {
			seen[id] = name
		}
	}
	return slices.Sorted(maps.Values(seen))
}

// identify asks which token a URI means: an identity to compare, and a URI for people.
func (k *Ring) identify(ctx context.Context, text string, u signer.URI) (id, name string, here bool) {
	if kind := u.Kind(); kind.Identity != nil {
		if id := kind.Identity(u); id != "" {
			return u.Scheme + " " + id, text, true
		}
	}
	t, ok := k.Backends[u.Scheme].(signer.Tokener)
	if !ok {
		return text, text, false
	}
	tokens, err := t.Tokens(ctx, u)
	if err != nil || len(tokens) != 1 || tokens[0].Problem != "" {
		return text, text, false
	}
	tok := tokens[0]
	return strings.Join([]string{tok.Kind, tok.Module, tok.Label, tok.Serial, tok.Reader}, "\x00"), tok.URI.Behind(), true
}
