package keyring

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/fleet-hsm/fleet-hsm/internal/nearest"
	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

// What people call a key by: its ID or the beginning of it, its name in the
// configuration, the serial number of its device, or its URI. Wherever a key is named,
// all of them do; what could mean two keys is refused.

// minIDPrefix is how much of a key ID must be typed at least.
const minIDPrefix = 8

// CallError: a word names no key of the configuration, or more than one. Exit 2.
type CallError struct {
	Word string
	// Means are the keys that it could name; none: it names nothing.
	Means []string
	// Near is the name that may be meant, "" for none.
	Near string
	// Err is why it is no URI either.
	Err error
}

func (e *CallError) Error() string {
	if len(e.Means) > 1 {
		return fmt.Sprintf("%q could be each of %s", e.Word, strings.Join(e.Means, ", "))
	}
	return fmt.Sprintf("%q is no name, serial number or key ID of the configuration, and no URI: %v", e.Word, e.Err)
}

func (e *CallError) Unwrap() error { return e.Err }

// Parse reads what names a key: a URI, or whatever the configuration knows it by.
func (k *Ring) Parse(text string) (signer.URI, error) {
	u, err := k.opts.Kinds.Parse(text)
	if err == nil || strings.Contains(text, ":") {
		return u, err
	}
	cfg := k.opts.Config
	var found []tuf.KeyID
	for _, id := range slices.SortedFunc(maps.Keys(cfg.Locations), tuf.KeyID.Compare) {
		if k.Calls(text, id) {
			found = append(found, id)
		}
	}
	if len(found) == 1 {
		return cfg.Locations[found[0]], nil
	}
	e := &CallError{Word: text, Err: err, Near: nearest.To(text, k.names())}
	for _, id := range found {
		e.Means = append(e.Means, cfg.Locations[id].String())
	}
	return signer.URI{}, e
}

// names are those of the configuration.
func (k *Ring) names() []string {
	var out []string
	for _, key := range k.opts.Config.Keys {
		out = append(out, key.Name)
	}
	slices.Sort(out)
	return out
}

// Calls reports whether a word that is no URI names a key of the configuration.
func (k *Ring) Calls(word string, id tuf.KeyID) bool {
	cfg := k.opts.Config
	if name := cfg.Keys[id].Name; name != "" && name == word {
		return true
	}
	if len(word) >= minIDPrefix && strings.HasPrefix(id.String(), word) {
		return true
	}
	serial, ok := cfg.Locations[id].Attr("serial")
	return ok && serial == word
}

// IDs gives the key IDs of those keys of a role that the words name; a word that names
// none of them stays as it is, for who knows the role to refuse.
func (k *Ring) IDs(role string, keys []meta.Key, words []string) ([]string, error) {
	out := slices.Clone(words)
	for i, word := range words {
		var found []string
		for _, key := range keys {
			if k.Calls(word, key.ID) || k.isAt(role, key, keys, word) {
				found = append(found, key.ID.String())
			}
		}
		if len(found) > 1 {
			return nil, &CallError{Word: word, Means: found}
		}
		if len(found) == 1 {
			out[i] = found[0]
		}
	}
	return out, nil
}

// isAt reports whether a URI names the place of a key: what the configuration says, or
// the file of the role if it can hold no other of its keys.
func (k *Ring) isAt(role string, key meta.Key, keys []meta.Key, word string) bool {
	u, err := k.opts.Kinds.Parse(word)
	if err != nil {
		return false
	}
	if at, ok := k.opts.Config.Locations[key.ID]; ok {
		return u.Covers(at)
	}
	unplaced := 0
	for _, other := range keys {
		if _, ok := k.opts.Config.Locations[other.ID]; !ok {
			unplaced++
		}
	}
	return unplaced == 1 && u.String() == RoleFile(role).String() && k.Files.Exists(u)
}

// FileOf is where the keys of a role are in a file: the one that a flag names, or the
// usual one.
func (k *Ring) FileOf(role string) signer.URI {
	if list := k.URIs[role]; len(list) == 1 && list[0].Kind().Sealed {
		return list[0]
	}
	return RoleFile(role)
}
