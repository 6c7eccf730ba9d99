package diff

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// compareTargets says what a staged targets changes, path by path, and whatever else
// in it differs.
func (rc *RoleReview) compareTargets(p *repo.Published, c *repo.Change) error {
	before := meta.NewTargets()
	if p != nil && p.Targets != nil {
		before = p.Targets
	}
	mv, err := newMoves(p, c)
	if err != nil {
		return err
	}
	shown := map[string]bool{"version": true, "expires": true}
	if lines, ok := delegationLines(before, c.Targets()); ok {
		rc.Other, shown["delegations"] = append(rc.Other, lines...), true
	}
	return rc.compareEntries(meta.RoleTargets, before, c.Targets(), mv, shown, c.Doc(meta.RoleTargets))
}

// compareCold does so for a cold role.
func (rc *RoleReview) compareCold(p *repo.Published, c *repo.Change) error {
	before, err := coldBefore(p, rc.Role)
	if err != nil {
		return err
	}
	mv, err := newMoves(p, c)
	if err != nil {
		return err
	}
	return rc.compareEntries(rc.Role, before, c.ColdTargets(rc.Role), mv, map[string]bool{"version": true, "expires": true}, c.Doc(rc.Role))
}

// coldBefore gives what is published of a cold role, or one without entries.
func coldBefore(p *repo.Published, name string) (*meta.Targets, error) {
	if p == nil || !p.Lists(name) {
		return meta.NewTargets(), nil
	}
	return p.ColdTargets(name)
}

func (rc *RoleReview) compareEntries(role string, before, after *meta.Targets, mv *moves, shown map[string]bool, d *meta.Doc) error {
	for _, path := range slices.Compact(slices.Sorted(slices.Values(slices.Concat(before.Paths(), after.Paths())))) {
		if bytes.Equal(before.Entry(path), after.Entry(path)) {
			rc.Kept++
			continue
		}
		if rc.moved(mv, role, path, before.Entry(path), after.Entry(path)) {
			continue
		}
		if err := rc.compareTarget(path, before, after); err != nil {
			return err
		}
	}
	a, err := json.Marshal(before.Others())
	if err != nil {
		return err
	}
	b, err := json.Marshal(after.Others())
	if err != nil {
		return err
	}
	if err := rc.compareFields(a, b, shown); err != nil {
		return err
	}
	return rc.checkExpiresText(d.Text())
}

func (rc *RoleReview) compareTarget(path string, before, after *meta.Targets) error {
	old, had, err := before.Get(path)
	if err != nil {
		return err
	}
	now, has, err := after.Get(path)
	if err != nil {
		return err
	}
	ch := TargetChange{Path: path, OldSHA512: old.SHA512, NewSHA512: now.SHA512, OldLength: old.Length,
		NewLength: now.Length, OldVersion: old.Version, NewVersion: now.Version}
	if !has {
		rc.Removed = append(rc.Removed, ch)
		return nil
	}
	if ch.Details, err = entryDetails(before.Entry(path), after.Entry(path), now); err != nil {
		return err
	}
	ch.Other = len(ch.Details) > 0
	if !had {
		rc.Added = append(rc.Added, ch)
		return nil
	}
	rc.Changed = append(rc.Changed, ch)
	return nil
}

// entryDetails names the fields of an entry that differ and are not its length,
// sha512 and version, or that are not written as the review shows them.
func entryDetails(before, after json.RawMessage, now meta.Target) ([]string, error) {
	fields, err := flatten(after, nil)
	if err != nil {
		return nil, err
	}
	shown := map[string]bool{}
	for path, text := range map[string]string{
		"length":         strconv.FormatInt(now.Length, 10),
		"hashes.sha512":  strconv.Quote(now.SHA512),
		"custom.version": meta.CanonicalString(now.Version),
	} {
		if fields[path] == text {
			shown[path] = true
		}
	}
	return fieldChanges(before, after, shown)
}
