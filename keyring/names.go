package keyring

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/fleet-hsm/fleet-hsm/internal/misuse"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

// maxName is how long a key's name may be: it stands in tables and prompts.
const maxName = 64

// CheckName refuses what cannot be the name of a key: it is typed wherever a key is named,
// beside URIs, key IDs and serial numbers, and read by people.
func CheckName(name string) error {
	odd := func(r rune) bool { return !unicode.IsPrint(r) || strings.ContainsRune(":;,=\"\\`$", r) }
	why := ""
	switch {
	case name == "":
		why = "is empty"
	case len(name) > maxName:
		why = fmt.Sprintf("is longer than %d bytes", maxName)
	case strings.TrimSpace(name) != name:
		why = "begins or ends with a space"
	case name[0] == '-':
		why = "begins like a flag"
	case strings.ContainsFunc(name, odd):
		why = fmt.Sprintf("has the character %q", name[strings.IndexFunc(name, odd):][:1])
	case strings.Trim(name, "0123456789") == "":
		why = "reads like a serial number"
	case len(name) >= minIDPrefix && strings.Trim(name, "0123456789abcdef") == "":
		why = "reads like a key ID"
	default:
		return nil
	}
	return misuse.Errorf("the name %q of a key %s; names are like blue or release-2", name, why)
}

// NameKeys decides, before a key is made, which of the keys that a command names gets which
// of the names: as many names as keys go one to one; fewer are for those that are to be
// made. Names that would be left over are refused.
func (m *Maker) NameKeys(ctx context.Context, ui signer.UI, named []signer.Ref, o MakeOptions) error {
	if len(o.Names) == 0 {
		return nil
	}
	var take []signer.Ref
	for _, r := range named {
		same := func(other signer.Ref) bool { return other.URI.String() == r.URI.String() }
		if !r.URI.Kind().Elsewhere && !slices.ContainsFunc(take, same) {
			take = append(take, r)
		}
	}
	if len(o.Names) < len(take) {
		var err error
		if take, err = m.absent(ctx, ui, take); err != nil {
			return err
		}
	}
	if len(o.Names) > len(take) {
		return misuse.Errorf("--generate=%s has %d %s for %d %s; each is for a key that a flag names by its URI and that is to be made. Leave the others out, or --generate alone",
			strings.Join(o.Names, ","), len(o.Names), plural("name", len(o.Names)), len(take), plural("key", len(take)))
	}
	m.wanted = map[string]string{}
	for i, name := range o.Names {
		if err := m.k.CheckFree(name, take[i].URI); err != nil {
			return fmt.Errorf("--generate=%s: %w", strings.Join(o.Names, ","), err)
		}
		m.wanted[take[i].URI.String()] = name
	}
	return nil
}

func plural(what string, n int) string {
	if n == 1 {
		return what
	}
	return what + "s"
}

// absent are those keys that would be made.
func (m *Maker) absent(ctx context.Context, ui signer.UI, named []signer.Ref) (out []signer.Ref, err error) {
	for _, r := range named {
		switch _, _, err := m.k.PublicOf(ctx, ui, r); {
		case ToBeMade(err):
			out = append(out, r)
		case err != nil:
			return nil, err
		}
	}
	return out, nil
}

// CheckFree refuses a name that another key has, and a second one for a key.
func (k *Ring) CheckFree(name string, u signer.URI) error {
	cfg := k.opts.Config
	for id, key := range cfg.Keys {
		here := u.Covers(cfg.Locations[id])
		switch {
		case here && key.Name != "" && key.Name != name:
			return misuse.Errorf("the key %s is called %q already; leave the new name out", u, key.Name)
		case !here && key.Name == name:
			return misuse.Errorf("the key %s is called %q already; choose another name", key.URI, name)
		}
	}
	return nil
}
