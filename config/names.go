package config

import (
	"maps"
	"slices"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

// KeyIDs puts the key ID where a name from the configuration stands.
func (c *Config) KeyIDs(list []string) []string {
	out := slices.Clone(list)
	for i, s := range out {
		var named []string
		for id, k := range c.Keys {
			if k.Name != "" && k.Name == s {
				named = append(named, id.String())
			}
		}
		if len(named) == 1 {
			out[i] = named[0]
		}
	}
	return out
}

// NameAt is the name of a key at u, or of one on the device u; "" without one.
func (c *Config) NameAt(u signer.URI) string {
	for _, id := range slices.SortedFunc(maps.Keys(c.Locations), tuf.KeyID.Compare) {
		if name := c.Keys[id].Name; name != "" && u.Covers(c.Locations[id]) {
			return name
		}
	}
	return ""
}
