package keyring

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

// Describe gives what is known of a key without a secret where possible.
func (k *Ring) Describe(ctx context.Context, ui signer.UI, u signer.URI, roles []string) ([]signer.KeyInfo, error) {
	be, err := k.Backends.For(u)
	if err != nil {
		return nil, err
	}
	ref := signer.Ref{URI: u, Roles: roles}
	if l, ok := be.(signer.KeyLister); ok {
		return l.Keys(ctx, ref, ui)
	}
	return nil, &signer.UnsupportedError{What: fmt.Sprintf("listing the keys of %q", u), Why: "this kind of key has no list"}
}

// DescribeOne describes the key that a URI names; a file may hold several.
func (k *Ring) DescribeOne(ctx context.Context, ui signer.UI, u signer.URI, roles []string) ([]signer.KeyInfo, error) {
	be, err := k.Backends.For(u)
	if err != nil {
		return nil, err
	}
	if d, ok := be.(signer.Describer); ok {
		info, err := d.Describe(ctx, signer.Ref{URI: u, Roles: roles}, ui)
		return []signer.KeyInfo{info}, err
	}
	return k.Describe(ctx, ui, u, roles)
}

// RolesOfFile guesses the role of keys/<role>.json, so that its variable is found.
func RolesOfFile(u signer.URI) []string {
	if !u.Kind().Sealed {
		return nil
	}
	name := strings.TrimSuffix(filepath.Base(u.Opaque), ".json")
	if i := strings.IndexByte(name, '.'); i > 0 {
		name = name[:i] // retired/root.1.json
	}
	if meta.IsRole(name) || name == meta.RoleCold {
		return []string{name}
	}
	return nil
}
