package keyring

import (
	"fmt"
	"maps"
	"slices"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// OnOneDevice says of which roles a single token, card or file holds as many keys as
// must sign: whoever has it needs nobody else, whatever the threshold says. hints are
// what a request says of places, nil for none.
func (k *Ring) OnOneDevice(root *meta.Root, hints map[tuf.KeyID]Hint) []string {
	var out []string
	for _, role := range meta.Roles() {
		need := root.Threshold(role)
		if need < 2 {
			continue
		}
		on := map[string]int{}
		for _, key := range root.Keys(role) {
			u, ok := k.opts.Config.Locations[key.ID]
			if !ok {
				u, _ = k.opts.Kinds.Parse(hints[key.ID].URI.String())
			}
			if device := u.Device(); device != "" {
				on[device]++
			}
		}
		for _, device := range slices.Sorted(maps.Keys(on)) {
			if on[device] >= need {
				out = append(out, fmt.Sprintf("%d keys of %s are on one device, %s: it alone meets the threshold of %d", on[device], role, device, need))
			}
		}
	}
	return out
}
