package main

import "slices"

// idsOf puts the key ID where a name from the configuration stands.
func (c *config) idsOf(list []string) []string {
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
