package workflow

import "github.com/fleet-hsm/fleet-hsm/keyring"

// InFiles reports whether no key of the role is known to be elsewhere than in
// keys/ROLE.json.
func (w *Session) InFiles(role string) bool {
	for _, k := range w.Published.Root.Keys(role) {
		if u, ok := w.Config.Locations[k.ID]; ok && !u.Kind().Sealed {
			return false
		}
	}
	return w.Keys.Files.Exists(keyring.RoleFile(role))
}
