package workflow

import (
	"fmt"
	"slices"
	"strings"

	"github.com/fleet-hsm/fleet-hsm/internal/nearest"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// components are those that agents know by themselves, and channels those that
// fleetctl's documentation uses.
func components() []string {
	return []string{"orbit", "desktop", "osqueryd", "nudge", "swiftDialog", "escrowBuddy"}
}

func channels() []string { return []string{"stable", "edge"} }

// OddNames says which new names look like a slip in one that is known: nobody asks for a
// component "obrit" or a channel "stabel", and nobody would notice. They are allowed.
func (w *Session) OddNames(items []meta.Item) ([]string, error) {
	rows, _, err := w.Published.Targets.Rows()
	if err != nil {
		return nil, err
	}
	k := known{components(), channels(), nil}
	for _, r := range rows {
		k.components, k.channels, k.versions = append(k.components, r.Name), append(k.channels, r.Channel), append(k.versions, r.Version)
	}
	var out []string
	for _, it := range items {
		for _, s := range k.odd(it) {
			if !slices.Contains(out, s) {
				out = append(out, s)
			}
		}
	}
	return out, nil
}

type known struct{ components, channels, versions []string }

func (k known) odd(it meta.Item) (out []string) {
	if near := nearest.To(it.Name, k.components); near != "" && !slices.Contains(k.components, it.Name) {
		out = append(out, fmt.Sprintf("component %q is new here; did you mean %q?", it.Name, near))
	}
	for _, ch := range it.Channels {
		near := nearest.To(ch, slices.DeleteFunc(slices.Clone(k.channels), numbered))
		if near != "" && !numbered(ch) && !slices.Contains(k.channels, ch) {
			out = append(out, fmt.Sprintf("channel %q is new here; did you mean %q?", ch, near))
		}
	}
	if number, ok := strings.CutPrefix(it.Version, "v"); ok && numbered(number) && !slices.ContainsFunc(k.versions, func(v string) bool { return strings.HasPrefix(v, "v") }) {
		out = append(out, fmt.Sprintf("version %q begins with a v; did you mean %q?", it.Version, number))
	}
	return out
}

// numbered: two versions are near each other and both are meant.
func numbered(s string) bool { return s != "" && s[0] >= '0' && s[0] <= '9' }
