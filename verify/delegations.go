package verify

import (
	"maps"
	"slices"
	"strings"
)

// readDelegated follows delegations depth first, as clients do. Fleet uses none;
// who does should know what agents make of them.
func (w *walk) readDelegated(top *document) []target {
	if top.targets.Delegations == nil {
		w.checkUndelegated(nil)
		return nil
	}
	var all []target
	seen := map[string]*delegatedRole{}
	open := []*document{top}
	roles := []*document{top}
	for len(open) > 0 && w.ctx.Err() == nil {
		parent := open[0]
		open = open[1:]
		for _, child := range w.readChildren(parent, seen) {
			all = append(all, w.collect(child)...)
			roles = append(roles, child)
			if child.targets.Delegations != nil {
				open = append(open, child)
			}
		}
	}
	w.checkUndelegated(seen)
	w.checkCold(roles, seen)
	return all
}

// maxRoles bounds how many roles are read at all.
const maxRoles = 4096

// readChildren reads the roles that one role delegates to.
func (w *walk) readChildren(parent *document, seen map[string]*delegatedRole) []*document {
	ds := parent.targets.Delegations
	ring := w.readKeys(parent.role, parent.file, ds.Keys)
	var children []*document
	for i := range ds.Roles {
		r := &ds.Roles[i]
		w.checkRole(ring, r.Name, parent.role, &r.roleKeys)
		if fault := delegationFault(r); fault != "" {
			w.errorf(CodeDelegation, parent.role, parent.file, "delegated role %.60q %s", r.Name, fault)
			continue
		}
		if seen[r.Name] != nil {
			continue
		}
		seen[r.Name] = r
		if len(seen) > maxRoles {
			w.errorf(CodeDelegationLimit, parent.role, parent.file, "more than %d delegated roles", maxRoles)
			return children
		}
		if d := w.readDelegatedRole(r, ring); d != nil {
			children = append(children, d)
		}
	}
	return children
}

func delegationFault(r *delegatedRole) string {
	switch {
	case slices.Contains(topLevel(), r.Name):
		return "has the name of a top-level role: agents refuse"
	case r.Name == "" || strings.ContainsAny(r.Name, "/\\%?#\x00") || strings.HasPrefix(r.Name, "."):
		return "has a name that is not a file name"
	case len(r.Paths) > 0 && len(r.PathHashPrefixes) > 0:
		return "has both paths and path_hash_prefixes: agents refuse"
	case len(r.Paths) == 0 && len(r.PathHashPrefixes) == 0:
		return "has neither paths nor path_hash_prefixes"
	}
	return ""
}

func (w *walk) readDelegatedRole(r *delegatedRole, ring keyring) *document {
	name := r.Name + ".json"
	named, file := w.named(w.snapshot, name)
	if named == nil {
		return nil
	}
	d := w.read(file, r.Name)
	if d == nil {
		return nil
	}
	signed, _ := w.checkSignatures(d, ring, r.Name, &r.roleKeys, CodeThreshold)
	w.addRole(d, &r.roleKeys, signed)
	w.checkNamed(w.snapshot, name, d, named)
	w.checkCopy(d, name)
	return d
}

// checkUndelegated names what the snapshot lists and nobody delegates to.
func (w *walk) checkUndelegated(delegated map[string]*delegatedRole) {
	if w.snapshot == nil {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(w.snapshot.meta)) {
		role := strings.TrimSuffix(name, ".json")
		if role != roleTargets && role != roleRoot && delegated[role] == nil {
			w.warnf(CodeDelegation, roleSnapshot, w.snapshot.file, "it names %.60q, which no role delegates to", name)
		}
	}
}
