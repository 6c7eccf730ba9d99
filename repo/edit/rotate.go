package edit

import (
	"fmt"
	"slices"
	"strings"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// Rotation says how the keys of a role change.
type Rotation struct {
	Role string
	// Set is the complete new set; nil leaves the set, to which Add and Remove apply.
	Set    []meta.Key
	Add    []meta.Key
	Remove []string // key IDs, or unambiguous beginnings of at least 8 digits
	// Threshold is 0 to leave it.
	Threshold int
}

// Rotate stages a new root, on top of what is published or of the staged change, and
// with it a new targets if the published one is not signed well enough for the new
// root. Errors: *RefusedError.
func Rotate(r *repo.Repo, p *repo.Published, staged *repo.Change, rot Rotation, opts repo.StageOptions) (*repo.Change, error) {
	c := r.Start(p, staged)
	root := c.Root().Clone()
	keys, err := rot.apply(root.Keys(rot.Role))
	if err != nil {
		return nil, err
	}
	threshold := rot.Threshold
	if threshold == 0 {
		threshold = root.Threshold(rot.Role)
	}
	before := root.Clone()
	if err := root.SetKeys(rot.Role, keys, threshold); err != nil {
		return nil, err
	}
	if meta.UnchangedRole(before, root, rot.Role) {
		return nil, meta.Refuse(meta.NoChange, "role %s has these keys and this threshold already", rot.Role)
	}
	if err := r.RestageRoot(p, c, root, opts); err != nil {
		return nil, err
	}
	c.Intend("%s", rot.describe(before, root))
	return c, r.ResignTargets(p, c, opts)
}

func (rot Rotation) apply(current []meta.Key) ([]meta.Key, error) {
	keys := slices.Clone(current)
	if rot.Set != nil {
		keys = slices.Clone(rot.Set)
	}
	for _, prefix := range rot.Remove {
		i, err := findKey(keys, prefix, rot.Role)
		if err != nil {
			return nil, err
		}
		keys = slices.Delete(keys, i, i+1)
	}
	return append(keys, rot.Add...), nil
}

// minKeyPrefix is how much of a key ID must be typed at least.
const minKeyPrefix = 8

func findKey(keys []meta.Key, prefix, role string) (int, error) {
	found := -1
	for i, k := range keys {
		if k.ID.String() == prefix {
			return i, nil
		}
		if len(prefix) < minKeyPrefix || !strings.HasPrefix(k.ID.String(), prefix) {
			continue
		}
		if found >= 0 {
			return 0, meta.Refuse(meta.UnknownKey, "%q is the beginning of two key IDs of role %s", prefix, role)
		}
		found = i
	}
	if found < 0 {
		return 0, meta.Refuse(meta.UnknownKey, "role %s has no key %q", role, prefix)
	}
	return found, nil
}

func (rot Rotation) describe(before, after *meta.Root) string {
	var parts []string
	for _, k := range after.Keys(rot.Role) {
		if !meta.HasKey(before.Keys(rot.Role), k.ID) {
			parts = append(parts, "add key "+k.ShortID())
		}
	}
	for _, k := range before.Keys(rot.Role) {
		if !meta.HasKey(after.Keys(rot.Role), k.ID) {
			parts = append(parts, "remove key "+k.ShortID())
		}
	}
	if a, b := before.Threshold(rot.Role), after.Threshold(rot.Role); a != b {
		parts = append(parts, fmt.Sprintf("threshold %d to %d", a, b))
	}
	return "rotate " + rot.Role + ": " + strings.Join(parts, ", ")
}
