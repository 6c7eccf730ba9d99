package diff

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// compareRoots says what a staged root changes: keys, thresholds and layout in lines
// of their own, and whatever else differs field by field, so that nothing that would
// be signed is left out.
func (rc *RoleReview) compareRoots(p *repo.Published, c *repo.Change) error {
	before, beforeText := rootBefore(p, c)
	for _, role := range meta.Roles() {
		rc.compareRole(role, before, c.Root())
	}
	if before.ConsistentSnapshot() != c.Root().ConsistentSnapshot() {
		rc.Other = append(rc.Other, fmt.Sprintf("consistent_snapshot: %t to %t", before.ConsistentSnapshot(), c.Root().ConsistentSnapshot()))
	}
	shown := map[string]bool{"version": true, "expires": true, "consistent_snapshot": true}
	for _, role := range meta.Roles() {
		shown[fieldPath("roles", role, "threshold")], shown[fieldPath("roles", role, "keyids")] = true, true
	}
	for _, id := range sortedNames(before.AllKeys(), c.Root().AllKeys()) {
		if rc.compareKey(id, before, c.Root()) {
			shown[fieldPath("keys", id)] = true
		}
	}
	text := c.Doc(meta.RoleRoot).Text()
	if err := rc.compareFields(beforeText, text, shown); err != nil {
		return err
	}
	return rc.checkExpiresText(text)
}

// rootBefore gives what a new root is compared with: the published one, or one
// without keys.
func rootBefore(p *repo.Published, c *repo.Change) (*meta.Root, []byte) {
	if p != nil {
		return p.Root, p.RootText()
	}
	return meta.NoRoot(c.Root().ConsistentSnapshot())
}

func (rc *RoleReview) compareRole(role string, before, after *meta.Root) {
	changes := len(rc.Keys)
	for _, k := range after.Keys(role) {
		if !meta.HasKey(before.Keys(role), k.ID) {
			rc.Keys = append(rc.Keys, KeyChange{Role: role, KeyID: k.ID, Type: k.Type(), Gains: true})
		}
	}
	for _, k := range before.Keys(role) {
		if meta.HasKey(after.Keys(role), k.ID) {
			rc.Stays = append(rc.Stays, KeyStays{Role: role, KeyID: k.ID})
		}
		if !meta.HasKey(after.Keys(role), k.ID) {
			rc.Keys = append(rc.Keys, KeyChange{Role: role, KeyID: k.ID, Type: k.Type()})
		}
	}
	a, b := meta.IDs(before.Keys(role)), meta.IDs(after.Keys(role))
	usual := slices.DeleteFunc(slices.Clone(a), func(id tuf.KeyID) bool { return !slices.Contains(b, id) })
	for _, ch := range rc.Keys[changes:] {
		if ch.Gains {
			usual = append(usual, ch.KeyID)
		}
	}
	if !slices.Equal(usual, b) {
		rc.Other = append(rc.Other, fmt.Sprintf("the keys of %s are listed in another order than before", role))
	}
	if len(slices.Compact(slices.SortedFunc(slices.Values(b), tuf.KeyID.Compare))) != len(b) {
		rc.Other = append(rc.Other, fmt.Sprintf("role %s lists a key ID twice", role))
	}
	if a, b := before.Threshold(role), after.Threshold(role); a != b {
		rc.Thresholds = append(rc.Thresholds, ThresholdChange{Role: role, From: a, To: b})
		if b < a {
			rc.Warnings = append(rc.Warnings, fmt.Sprintf("the threshold of %s falls from %d to %d", role, a, b))
		}
	}
}

// compareKey reports whether the lines of the roles say all there is to say of a key
// that comes or goes; otherwise it adds what is missing.
func (rc *RoleReview) compareKey(id string, before, after *meta.Root) bool {
	old, had := before.AllKeys()[id]
	now, has := after.AllKeys()[id]
	switch {
	case had && has:
		if !meta.SameObject(old, now) {
			rc.Other = append(rc.Other, fmt.Sprintf("key %s keeps its ID, and the key under it changes", old.ShortID()))
			rc.Warnings = append(rc.Warnings, fmt.Sprintf("key %s keeps its ID, and the key under it changes", old.ShortID()))
		}
		return false
	case has && !after.Names(id):
		rc.Other = append(rc.Other, fmt.Sprintf("key %s is listed and has no role", now.ShortID()))
	case has:
		made, err := meta.NewKey(now.Public)
		if err == nil && made.ID.String() == id && meta.SameObject(made, now) {
			return true
		}
		rc.Other = append(rc.Other, fmt.Sprintf("key %s is not called after its content; its fingerprint is %s", now.ShortID(), now.Fingerprint()))
	case !before.Names(id):
		rc.Other = append(rc.Other, fmt.Sprintf("key %s, which had no role, is no longer listed", old.ShortID()))
	default:
		return true
	}
	return false
}

// compareFields adds a line for each field that differs and that shown does not name.
func (rc *RoleReview) compareFields(before, after []byte, shown map[string]bool) error {
	lines, err := fieldChanges(before, after, shown)
	rc.Other = append(rc.Other, lines...)
	return err
}

// checkExpiresText tells of a time that is not written as we write it: the review shows
// the time, and the signature covers the text.
func (rc *RoleReview) checkExpiresText(signed []byte) error {
	var head struct {
		Expires string `json:"expires"`
	}
	if err := json.Unmarshal(signed, &head); err != nil {
		return err
	}
	if head.Expires != rc.Expires.UTC().Truncate(time.Second).Format(time.RFC3339) {
		rc.Other = append(rc.Other, fmt.Sprintf("expires is written as %q", head.Expires))
	}
	return nil
}

// fieldChanges compares two JSON objects field by field and names the fields that
// differ, with both values. Fields in shown, and those below them, are left out.
func fieldChanges(before, after []byte, shown map[string]bool) ([]string, error) {
	a, err := flatten(before, shown)
	if err != nil {
		return nil, err
	}
	b, err := flatten(after, shown)
	if err != nil {
		return nil, err
	}
	var lines []string
	for _, name := range sortedNames(a, b) {
		if a[name] != b[name] {
			lines = append(lines, fmt.Sprintf("%s: %s to %s", name, orNothing(a[name]), orNothing(b[name])))
		}
	}
	return lines, nil
}

// flatten gives the values of a JSON object by their paths; lists are one value.
func flatten(object []byte, shown map[string]bool) (map[string]string, error) {
	out := map[string]string{}
	if len(object) == 0 {
		return out, nil
	}
	return out, flattenInto(out, "", object, shown)
}

func flattenInto(out map[string]string, path string, raw []byte, shown map[string]bool) error {
	if shown[path] {
		return nil
	}
	if len(raw) == 0 || raw[0] != '{' {
		out[path] = string(raw)
		return nil
	}
	var m map[string]json.RawMessage
	if err := json.Unmarshal(raw, &m); err != nil {
		return err
	}
	if len(m) == 0 && path != "" {
		out[path] = "{}"
	}
	for name, v := range m {
		if err := flattenInto(out, joinPath(path, name), v, shown); err != nil {
			return err
		}
	}
	return nil
}

// fieldPath writes the path of a field as the review shows it.
func fieldPath(names ...string) string {
	path := ""
	for _, n := range names {
		path = joinPath(path, n)
	}
	return path
}

func joinPath(path, name string) string {
	if name == "" || strings.ContainsFunc(name, func(r rune) bool { return r == '.' || r <= ' ' || r == '"' || r > 0x7e }) {
		name = fmt.Sprintf("%+q", name)
	}
	if path == "" {
		return name
	}
	return path + "." + name
}

// maxShown is how much of a value is shown, in bytes of JSON; of a longer one its length
// and hash besides, so that two people see the same.
const maxShown = 1000

// orNothing shows a value as its JSON, in which a text stands between quotes.
func orNothing(raw string) string {
	if raw == "" {
		return "(nothing)"
	}
	if len(raw) <= maxShown {
		return raw
	}
	return fmt.Sprintf("%s... (%d bytes; SHA-256 %x)", strings.ToValidUTF8(raw[:maxShown], ""), len(raw), sha256.Sum256([]byte(raw)))
}

// sortedNames gives the keys of both maps, each once, sorted.
func sortedNames[V any](maps ...map[string]V) []string {
	seen := map[string]bool{}
	for _, m := range maps {
		for name := range m {
			seen[name] = true
		}
	}
	out := make([]string, 0, len(seen))
	for name := range seen {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}
