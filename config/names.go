package config

import (
	"maps"
	"slices"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

// NameAt is the name of a key at u, or of one on the device u; "" without one.
func (c *Config) NameAt(u signer.URI) string {
	for _, id := range slices.SortedFunc(maps.Keys(c.Locations), tuf.KeyID.Compare) {
		if name := c.Keys[id].Name; name != "" && u.Covers(c.Locations[id]) {
			return name
		}
	}
	return ""
}
