package repo

import (
	"bytes"
	"encoding/json"
	"strconv"
)

// compareTargets says what a staged targets changes, path by path, and whatever else
// in it differs.
func (rc *RoleReview) compareTargets(p *Published, c *Change) error {
	before, beforeText := newTargets(), []byte(`{"_type":"targets","spec_version":"`+specVersion+`"}`)
	if p != nil && p.Targets != nil {
		before, beforeText = p.Targets, nil
	}
	for _, path := range sortedNames(before.entries, c.targets.entries) {
		if bytes.Equal(before.entries[path], c.targets.entries[path]) {
			continue
		}
		if err := rc.compareTarget(path, before, c.targets); err != nil {
			return err
		}
	}
	if beforeText == nil {
		var err error
		if beforeText, err = json.Marshal(before.rest); err != nil {
			return err
		}
	}
	after, err := json.Marshal(c.targets.rest)
	if err != nil {
		return err
	}
	if err := rc.compareFields(beforeText, after, map[string]bool{"version": true, "expires": true}); err != nil {
		return err
	}
	return rc.checkExpiresText(c.targetsDoc.env.text())
}

func (rc *RoleReview) compareTarget(path string, before, after *Targets) error {
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
	if ch.Details, err = entryDetails(before.entries[path], after.entries[path], now); err != nil {
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
// sha512 and version, or that are not written as the card shows them.
func entryDetails(before, after json.RawMessage, now Target) ([]string, error) {
	fields, err := flatten(after, nil)
	if err != nil {
		return nil, err
	}
	shown := map[string]bool{}
	for path, text := range map[string]string{
		"length":         strconv.FormatInt(now.Length, 10),
		"hashes.sha512":  strconv.Quote(now.SHA512),
		"custom.version": canonicalString(now.Version),
	} {
		if fields[path] == text {
			shown[path] = true
		}
	}
	return fieldChanges(before, after, shown)
}
