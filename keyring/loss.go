package keyring

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/fleet-hsm/fleet-hsm/config"
	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

// Loss is what a command is about to do to keys on a device, looked at before
// anything is asked of the device that changes it.
type Loss struct {
	What string     // "resetting YubiKey 1", for people
	At   signer.URI // the device, or one slot of it
	// Whole: all that is on the device goes.
	Whole bool
	Word  string // what a person types to go on: its serial number or label

	Named []string // keys that root or the configuration names
	roles []string // roles that could not be signed any more
}

// DestroysError: a key that root or the configuration names would be lost, and nobody at a
// terminal said that it may be.
type DestroysError struct{ loss *Loss }

func (e *DestroysError) Error() string {
	return fmt.Sprintf("%s would destroy %s; nothing was changed", e.loss.What, e.loss.keys())
}

// ErrNotDestroyed: the person typed something else.
var ErrNotDestroyed = errors.New("that is not what was asked for; nothing was changed")

// Look finds the keys that would be lost: those that are at the location, where the device
// lists them (l may be nil; without a ui, those that it shows to everybody), and those that
// the configuration keeps there. root names keys, nil without a repository.
func (d *Loss) Look(ctx context.Context, k *Ring, root *meta.Root, l signer.KeyLister, ui signer.UI) error {
	cfg := k.opts.Config
	lost := map[tuf.KeyID]bool{}
	for id, location := range cfg.Locations {
		if d.At.Covers(location) || d.Whole && onSame(location, d.At) {
			lost[id] = true
		}
	}
	var there []signer.KeyInfo
	if l != nil {
		var err error
		if there, err = l.Keys(ctx, signer.Ref{URI: d.At}, ui); err != nil {
			return err
		}
	}
	for _, i := range there {
		if id := KeyID(i.Public); !cfg.Locations[id].IsZero() {
			lost[id] = true
		}
	}
	for _, key := range rootKeys(root) {
		if slices.ContainsFunc(there, func(i signer.KeyInfo) bool { return signer.SamePublic(key.Public, i.Public) }) {
			lost[key.ID] = true
		}
	}
	d.tell(cfg, root, lost)
	return nil
}

// Typist is who types a word to go on.
type Typist interface {
	HasTerminal() bool
	Line(ctx context.Context, question string) (string, error)
}

// onSame reports whether the token that a key's location names can be this device. A location
// that names no token tells nothing of it.
func onSame(location, device signer.URI) bool {
	token, named := location.OnlyDevice()
	return named && token.Covers(device)
}

// rootKeys lists the keys of all roles, each once; none without a root.
func rootKeys(root *meta.Root) []meta.Key {
	if root == nil {
		return nil
	}
	var keys []meta.Key
	for _, role := range meta.Roles() {
		for _, k := range root.Keys(role) {
			if !slices.ContainsFunc(keys, func(o meta.Key) bool { return o.ID == k.ID }) {
				keys = append(keys, k)
			}
		}
	}
	return keys
}

// tell puts into words what would be lost. root is nil without a repository.
func (d *Loss) tell(cfg *config.Config, root *meta.Root, lost map[tuf.KeyID]bool) {
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
		d.Named = append(d.Named, text)
	}
	if root == nil {
		return
	}
	for _, role := range meta.Roles() {
		keys := root.Keys(role)
		left := slices.DeleteFunc(slices.Clone(keys), func(k meta.Key) bool { return lost[k.ID] })
		if len(left) < len(keys) && len(left) < root.Threshold(role) {
			d.roles = append(d.roles, role)
		}
	}
}

func (d *Loss) keys() string { return strings.Join(d.Named, "; ") }

// Confirm has a person type the word if a named key would be lost. Neither --yes nor a
// script can do that.
func (d *Loss) Confirm(ctx context.Context, ui Typist) error {
	if len(d.Named) == 0 {
		return nil
	}
	if !ui.HasTerminal() || d.Word == "" {
		return &DestroysError{d}
	}
	after := ""
	if len(d.roles) > 0 {
		after = fmt.Sprintf(" The keys that are left could not sign %s any more.", strings.Join(d.roles, ", "))
	}
	answer, err := ui.Line(ctx, fmt.Sprintf("%s%s destroys %s for good.%s Type %s to go on:",
		strings.ToUpper(d.What[:1]), d.What[1:], d.keys(), after, d.Word))
	if err == nil && answer != d.Word {
		return ErrNotDestroyed
	}
	return err
}

// WordOf is what tells one device from another on its label: the serial number, or the
// reader or label by which it is named.
func WordOf(ctx context.Context, be signer.Backend, u signer.URI) string {
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

// Erased gives the token that goes, which has another label than the one that it gets, and
// what a person types to have it erased: its serial number, or its label without one.
func Erased(ctx context.Context, be signer.Backend, u signer.URI) (signer.URI, string) {
	label, _ := u.Attr("token")
	if l, ok := be.(signer.Tokener); ok {
		if tokens, err := l.Tokens(ctx, u); err == nil && len(tokens) == 1 && tokens[0].Serial != "" {
			return u.With("serial", tokens[0].Serial), tokens[0].Serial
		}
	}
	return u, label
}
