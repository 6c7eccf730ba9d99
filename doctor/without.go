package doctor

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fleet-hsm/fleet-hsm/internal/misuse"
	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/workflow"
)

// WhatIf says what is left without some keys.
type WhatIf struct {
	Lost  []LostKey  `json:"lost"`
	Roles []RoleLeft `json:"roles"`
	// Recoverable: root's threshold is still met, so root can name new keys.
	Recoverable bool `json:"recoverable"`
	// Spare is how many more keys of root may be lost before nothing can be recovered.
	Spare int `json:"spare"`
	// Until is when agents begin to refuse the repository if nobody acts; Role is the first
	// role that nobody can renew. Both are zero if every role can still be signed.
	Until time.Time `json:"until,omitzero"`
	Role  string    `json:"first_to_fail,omitempty"`
	// Rotate are the roles that must get other keys, and Signatures and Touches what that
	// costs: one root, and each role whose metadata has to be signed again.
	Rotate     []string `json:"rotate"`
	Signatures int      `json:"signatures"`
	Touches    int      `json:"touches"` // of them with keys that are not in files
}

// LostKey is a key that is not there any more.
type LostKey struct {
	KeyID tuf.KeyID `json:"keyid"`
	Name  string    `json:"name"`
	Roles []string  `json:"roles"`
}

// RoleLeft is what is left of a role.
type RoleLeft struct {
	Role      string    `json:"role"`
	Threshold int       `json:"threshold"`
	Keys      int       `json:"keys"`
	Left      []string  `json:"left"` // names of the keys that are left
	Works     bool      `json:"works"`
	Expires   time.Time `json:"expires"`

	touches int
}

// Without says what is left of the repository of a session without the keys that words name:
// by key ID or its beginning, name, URI, serial number or label of the device, or a part of
// the name, such as its holder's.
func Without(w *workflow.Session, words []string) (*WhatIf, error) {
	lost := map[tuf.KeyID]*LostKey{}
	for _, word := range words {
		if n, err := lose(w, word, lost); err != nil {
			return nil, err
		} else if n == 0 {
			return nil, misuse.Errorf("--without %q names no key of this root", word)
		}
	}
	res := &WhatIf{Lost: []LostKey{}, Rotate: []string{}}
	for _, k := range lost {
		res.Lost = append(res.Lost, *k)
	}
	slices.SortFunc(res.Lost, func(a, b LostKey) int { return a.KeyID.Compare(b.KeyID) })
	byRole := map[string]RoleLeft{}
	for _, role := range meta.Roles() {
		r := left(w, role, lost)
		byRole[role] = r
		res.Roles = append(res.Roles, r)
		if r.Keys > len(r.Left) {
			res.Rotate = append(res.Rotate, role)
		}
		if !r.Works && (res.Until.IsZero() || r.Expires.Before(res.Until)) {
			res.Until, res.Role = r.Expires, role
		}
	}
	root := byRole[meta.RoleRoot]
	res.Recoverable, res.Spare = root.Works, max(0, len(root.Left)-root.Threshold)
	res.cost(byRole)
	return res, nil
}

// lose notes the keys that a word names, and says how many.
func lose(w *workflow.Session, word string, lost map[tuf.KeyID]*LostKey) (int, error) {
	n := 0
	for _, role := range meta.Roles() {
		keys := w.Published.Root.Keys(role)
		ids, err := w.Keys.IDs(role, keys, []string{word})
		if err != nil {
			return 0, err
		}
		for _, k := range keys {
			if k.ID.String() != ids[0] && !isOf(w, k, word) {
				continue
			}
			n++
			if lost[k.ID] == nil {
				lost[k.ID] = &LostKey{KeyID: k.ID, Name: w.Keys.Name(role, k)}
			}
			if !slices.Contains(lost[k.ID].Roles, role) {
				lost[k.ID].Roles = append(lost[k.ID].Roles, role)
			}
		}
	}
	return n, nil
}

// isOf: the word is the label of the key's device, or a part of its name.
func isOf(w *workflow.Session, k meta.Key, word string) bool {
	if len(word) < 3 {
		return false
	}
	return w.Config.Locations[k.ID].Token() == word || strings.Contains(strings.ToLower(w.Config.Keys[k.ID].Name), strings.ToLower(word))
}

func left(w *workflow.Session, role string, lost map[tuf.KeyID]*LostKey) RoleLeft {
	r := RoleLeft{Role: role, Threshold: w.Published.Root.Threshold(role), Left: []string{}, Expires: w.Published.ExpiresOf(role).UTC()}
	files := 0
	for _, k := range w.Published.Root.Keys(role) {
		r.Keys++
		if lost[k.ID] != nil {
			continue
		}
		r.Left = append(r.Left, w.Keys.Name(role, k))
		if u, ok := w.Config.Locations[k.ID]; !ok || u.Kind().Sealed {
			files++
		}
	}
	r.Works = len(r.Left) >= r.Threshold
	r.touches = max(0, r.Threshold-files)
	return r
}

// cost counts the signatures of one rotation of all roles that lost a key. A new key signs
// where too few old ones are left.
func (r *WhatIf) cost(roles map[string]RoleLeft) {
	if len(r.Rotate) == 0 {
		return
	}
	sign := []string{meta.RoleRoot}
	others := slices.DeleteFunc(slices.Clone(r.Rotate), func(s string) bool { return s == meta.RoleRoot })
	if len(others) > 0 {
		order := []string{meta.RoleTargets, meta.RoleSnapshot, meta.RoleTimestamp}
		first := slices.IndexFunc(order, func(s string) bool { return slices.Contains(others, s) })
		sign = append(sign, order[first:]...)
	}
	for _, role := range sign {
		r.Signatures += roles[role].Threshold
		r.Touches += roles[role].touches
	}
}

// String says in a line what is left of a role.
func (r RoleLeft) String() string {
	return fmt.Sprintf("%d of %d keys left, %d must sign", len(r.Left), r.Keys, r.Threshold)
}
