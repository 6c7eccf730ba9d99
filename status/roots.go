package status

import (
	"fmt"
	"time"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// RootChange is what one version of root changed against the one before it.
type RootChange struct {
	Version int64     `json:"version"`
	Expires time.Time `json:"expires"`
	Changes []string  `json:"changes"`
}

// RootChanges says what each version of root changed, the oldest first; name says what a
// key is called.
func RootChanges(roots []*meta.Root, name func(tuf.KeyID) string) []RootChange {
	out := []RootChange{}
	var before *meta.Root
	for _, r := range roots {
		c := RootChange{Version: r.Version(), Expires: r.Expires().UTC(), Changes: []string{}}
		if before == nil {
			c.Changes = append(c.Changes, "the first that is kept")
		} else {
			for _, role := range meta.Roles() {
				c.Changes = append(c.Changes, roleChanges(before, r, role, name)...)
			}
		}
		if before != nil && len(c.Changes) == 0 {
			c.Changes = append(c.Changes, "renewed; keys and thresholds are as before")
		}
		out, before = append(out, c), r
	}
	return out
}

func roleChanges(before, after *meta.Root, role string, name func(tuf.KeyID) string) []string {
	var out []string
	has := func(r *meta.Root, id tuf.KeyID) bool {
		for _, k := range r.Keys(role) {
			if k.ID == id {
				return true
			}
		}
		return false
	}
	for _, k := range before.Keys(role) {
		if !has(after, k.ID) {
			out = append(out, fmt.Sprintf("%s lost key %s", role, name(k.ID)))
		}
	}
	for _, k := range after.Keys(role) {
		if !has(before, k.ID) {
			out = append(out, fmt.Sprintf("%s got key %s", role, name(k.ID)))
		}
	}
	if b, a := before.Threshold(role), after.Threshold(role); a != b {
		out = append(out, fmt.Sprintf("%s needs %d signatures, before %d", role, a, b))
	}
	return out
}

// Since is the version of root from which on a key serves in a role without a break, as far
// as the versions are kept; 0 if it does not.
func Since(roots []*meta.Root, role string, id tuf.KeyID) int64 {
	since := int64(0)
	for _, r := range roots {
		there := false
		for _, k := range r.Keys(role) {
			there = there || k.ID == id
		}
		switch {
		case !there:
			since = 0
		case since == 0:
			since = r.Version()
		}
	}
	return since
}
