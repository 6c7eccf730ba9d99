package verify

import (
	"maps"
	"slices"
	"strings"
)

// checkKeyIDs looks at every place of a file that has room for a key ID. Agents pass over
// most of what else stands there; who reads the file with our tools, or makes the name of
// a file of it, is refused there, so nobody should serve it.
func (w *walk) checkKeyIDs(d *document) {
	for _, id := range d.keyIDs() {
		if !isKeyID(id) {
			w.errorf(CodeKeyID, d.role, d.file, "%s stands where a key ID belongs: that is 64 hexadecimal digits, in lower case", short(id))
		}
	}
}

// keyIDs lists what stands there, each once.
func (d *document) keyIDs() []string {
	all := map[string]bool{}
	held := func(keys map[string]*keyEntry) {
		for id := range keys {
			all[id] = true
		}
	}
	named := func(ids []string) {
		for _, id := range ids {
			all[id] = true
		}
	}
	for _, s := range d.signatures {
		all[s.KeyID] = true
	}
	if d.root != nil {
		held(d.root.Keys)
		for _, r := range d.root.Roles {
			if r != nil {
				named(r.KeyIDs)
			}
		}
	}
	if d.targets != nil && d.targets.Delegations != nil {
		held(d.targets.Delegations.Keys)
		for _, r := range d.targets.Delegations.Roles {
			named(r.KeyIDs)
		}
	}
	return slices.Sorted(maps.Keys(all))
}

func isKeyID(s string) bool {
	return len(s) == 64 && strings.Trim(s, "0123456789abcdef") == ""
}
