package config

import "slices"

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
