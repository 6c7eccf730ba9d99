package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/fleet-hsm/fleet-hsm/config"
	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/keyring"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

// destruction is what a command is about to do to keys on a device, looked at before
// anything is asked of the device that changes it.
type destruction struct {
	a    *app
	what string     // "resetting YubiKey 1", for people
	at   signer.URI // the device, or one slot of it
	// whole: all that is on the device goes.
	whole bool
	word  string // what a person types to go on: its serial number or label

	named []string // keys that root or the configuration names
	roles []string // roles that could not be signed any more
}

// destroysError: a key that root or the configuration names would be lost, and nobody at a
// terminal said that it may be.
type destroysError struct{ d *destruction }

func (e *destroysError) Error() string {
	return fmt.Sprintf("%s would destroy %s; nothing was changed", e.d.what, e.d.keys())
}

// errNotDestroyed: the person typed something else.
var errNotDestroyed = errors.New("that is not what was asked for; nothing was changed")

// look finds the keys that would be lost: those that are at the place, where the device
// lists them (l may be nil; without a ui, those that it shows to everybody), and those that
// the configuration keeps there.
func (d *destruction) look(ctx context.Context, l signer.KeyLister, ui signer.UI) error {
	cfg, err := d.a.config()
	if err != nil {
		return err
	}
	lost := map[tuf.KeyID]bool{}
	for id, place := range cfg.Locations {
		if d.at.Covers(place) || d.whole && onSame(place, d.at) {
			lost[id] = true
		}
	}
	var root *repo.Root
	switch p, err := d.a.repo().LoadRoot(); {
	case err == nil:
		root = p.Root
	case !errors.Is(err, repo.ErrNoRepository):
		return fmt.Errorf("looking which keys root names, before %s: %w", d.what, err)
	}
	var there []signer.KeyInfo
	if l != nil {
		if there, err = l.Keys(ctx, signer.Ref{URI: d.at}, ui); err != nil {
			return err
		}
	}
	for _, k := range there {
		if id := keyring.KeyID(k.Public); !cfg.Locations[id].IsZero() {
			lost[id] = true
		}
	}
	for _, k := range rootKeys(root) {
		if slices.ContainsFunc(there, func(i signer.KeyInfo) bool { return signer.SamePublic(k.Public, i.Public) }) {
			lost[k.ID] = true
		}
	}
	d.tell(cfg, root, lost)
	return nil
}

// onSame reports whether the token that a key's place names can be this device. A place
// that names no token tells nothing of it.
func onSame(place, device signer.URI) bool {
	token, named := place.OnlyDevice()
	return named && token.Covers(device)
}

// rootKeys lists the keys of all roles, each once; none without a root.
func rootKeys(root *repo.Root) []repo.Key {
	if root == nil {
		return nil
	}
	var keys []repo.Key
	for _, role := range repo.Roles() {
		for _, k := range root.Keys(role) {
			if !slices.ContainsFunc(keys, func(o repo.Key) bool { return o.ID == k.ID }) {
				keys = append(keys, k)
			}
		}
	}
	return keys
}

// tell puts into words what would be lost. root is nil without a repository.
func (d *destruction) tell(cfg *config.Config, root *repo.Root, lost map[tuf.KeyID]bool) {
	for _, id := range slices.SortedFunc(maps.Keys(lost), func(a, b tuf.KeyID) int { return strings.Compare(a.String(), b.String()) }) {
		text := "key " + id.String()[:8]
		if name := cfg.Keys[id].Name; name != "" {
			text += " (" + name + ")"
		}
		var roles []string
		if root != nil {
			_, roles, _ = root.Key(id)
		}
		if len(roles) > 0 {
			text += " of " + strings.Join(roles, ", ")
		} else {
			text += ", which the configuration names"
		}
		d.named = append(d.named, text)
	}
	if root == nil {
		return
	}
	for _, role := range repo.Roles() {
		keys := root.Keys(role)
		left := slices.DeleteFunc(slices.Clone(keys), func(k repo.Key) bool { return lost[k.ID] })
		if len(left) < len(keys) && len(left) < root.Threshold(role) {
			d.roles = append(d.roles, role)
		}
	}
}

func (d *destruction) keys() string { return strings.Join(d.named, "; ") }

// confirm has a person type the word if a named key would be lost. Neither --yes nor a
// script can do that.
func (d *destruction) confirm(ctx context.Context) error {
	if len(d.named) == 0 {
		return nil
	}
	ui := d.a.person()
	if !ui.HasTerminal() || d.word == "" {
		return &destroysError{d}
	}
	after := ""
	if len(d.roles) > 0 {
		after = fmt.Sprintf(" The keys that are left could not sign %s any more.", strings.Join(d.roles, ", "))
	}
	answer, err := ui.Line(ctx, fmt.Sprintf("%s%s destroys %s for good.%s Type %s to go on:",
		strings.ToUpper(d.what[:1]), d.what[1:], d.keys(), after, d.word))
	if err == nil && answer != d.word {
		return errNotDestroyed
	}
	return err
}

// wordOf is what tells one device from another on its label: the serial number, or the
// reader or label by which it is named.
func wordOf(ctx context.Context, be signer.Backend, u signer.URI) string {
	for _, name := range []string{"serial", "token", "reader"} {
		if v, ok := u.Attr(name); ok {
			return v
		}
	}
	l, ok := be.(signer.Tokener)
	if !ok {
		return ""
	}
	tokens, err := l.Tokens(ctx, u)
	if err != nil || len(tokens) != 1 {
		return ""
	}
	return tokens[0].Serial
}
