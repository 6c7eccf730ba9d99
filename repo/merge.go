package repo

import (
	"fmt"
	"slices"

	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// Merge takes the signatures of another copy of the same change: one that was signed
// while others went on working here, or that comes back from another machine. Both
// copies hold verified signatures only ([Repo.Staged] and [ReadChange] drop the others).
// Copies may be merged in any order and more than once; the result is the same bytes.
// Nothing is taken unless all documents are the same. Errors:
// *RefusedError{OtherChange}.
func (c *Change) Merge(other *Change) (map[string]meta.Merged, error) {
	if err := c.same(other); err != nil {
		return nil, err
	}
	out := map[string]meta.Merged{}
	for _, d := range c.Docs() {
		out[d.Role()] = d.Merge(other.Doc(d.Role()))
	}
	return out, nil
}

// same refuses a copy of another change.
func (c *Change) same(other *Change) error {
	for _, role := range rolesIn(c, other) {
		a, b := c.Doc(role), other.Doc(role)
		switch {
		case a == nil && b == nil:
		case a == nil:
			return meta.Refuse(meta.OtherChange, "it holds a %s v%d, and no new %s is staged here", role, b.Version(), role)
		case b == nil:
			return meta.Refuse(meta.OtherChange, "it holds no %s, and %s v%d is staged here", role, role, a.Version())
		case a.Hash() != b.Hash():
			return meta.Refuse(meta.OtherChange, "its %s v%d (sha256 %.16s) is not the %s v%d that is staged here (sha256 %.16s)",
				role, b.Version(), b.Hash(), role, a.Version(), a.Hash())
		}
	}
	return nil
}

// rolesIn lists the roles of which one of two changes holds a document.
func rolesIn(a, b *Change) []string {
	var roles []string
	for _, d := range slices.Concat(a.Docs(), b.Docs()) {
		if !slices.Contains(roles, d.Role()) {
			roles = append(roles, d.Role())
		}
	}
	return roles
}

// Envelopes gives what is staged as metadata files, with the signatures they have; nil
// for what stays as published.
func (c *Change) Envelopes() (Files, error) {
	var f changeFile
	for _, d := range c.Docs() {
		b, err := d.Bytes()
		if err != nil {
			return Files{}, fmt.Errorf("%s: %w", d.Role(), err)
		}
		f.put(d.Role(), b)
	}
	return Files{Root: f.Root, Targets: f.Targets, Cold: f.Cold}, nil
}
