package repo

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/cjson"
)

// Card says in plain data what signing a change would mean, role by role.
type Card struct {
	Intents []string    `json:"intents"`
	Roles   []RoleCard  `json:"roles"`
	Created time.Time   `json:"created"`
	Drops   []string    `json:"dropped_signatures,omitempty"`
	Follow  FollowRoles `json:"follow"`
}

// FollowRoles are the roles that commit will sign besides.
type FollowRoles []string

// RoleCard is what one role would sign.
type RoleCard struct {
	Role       string    `json:"role"`
	From       int64     `json:"from"` // published version, 0 for none
	To         int64     `json:"to"`
	Expires    time.Time `json:"expires"`
	OldExpires time.Time `json:"old_expires,omitzero"`
	// Hash is the SHA-256 of the payload, hex.
	Hash       string            `json:"sha256"`
	Signatures []Tallied         `json:"signatures"`
	Keys       []KeyChange       `json:"keys,omitempty"`
	Thresholds []ThresholdChange `json:"thresholds,omitempty"`
	Added      []TargetChange    `json:"added,omitempty"`
	Changed    []TargetChange    `json:"changed,omitempty"`
	Removed    []TargetChange    `json:"removed,omitempty"`
	// Other are changes of fields that have no line of their own.
	Other    []string `json:"other,omitempty"`
	Warnings []string `json:"warnings,omitempty"`
}

// Tallied is one threshold and how far it is met.
type Tallied struct {
	By      string   `json:"by"` // "published root", "new root", or the role
	Have    int      `json:"have"`
	Need    int      `json:"need"`
	Signed  []string `json:"signed"`
	Missing []string `json:"missing"`
}

// KeyChange is a key that gains or loses a role.
type KeyChange struct {
	Role  string `json:"role"`
	KeyID string `json:"keyid"`
	Type  string `json:"keytype"`
	Gains bool   `json:"gains"`
}

// ThresholdChange is a threshold before and after.
type ThresholdChange struct {
	Role string `json:"role"`
	From int    `json:"from"`
	To   int    `json:"to"`
}

// TargetChange is a target path that comes, goes or changes.
type TargetChange struct {
	Path       string `json:"path"`
	OldSHA512  string `json:"old_sha512,omitempty"`
	NewSHA512  string `json:"new_sha512,omitempty"`
	OldLength  int64  `json:"old_length,omitempty"`
	NewLength  int64  `json:"new_length,omitempty"`
	OldVersion string `json:"old_version,omitempty"`
	NewVersion string `json:"new_version,omitempty"`
	// Other: the entry changes in more than length, sha512 and version.
	Other bool `json:"other,omitempty"`
}

// Card describes a change against what is published (p is nil at init).
func (r *Repo) Card(p *Published, c *Change, usual Expiries) (Card, error) {
	card := Card{Intents: c.Intents, Created: c.Created, Drops: c.Warnings}
	for _, d := range c.Docs() {
		rc := RoleCard{Role: d.role, To: d.version, Expires: d.expires, Hash: d.Hash(), Signatures: d.tallied()}
		if p != nil {
			rc.From, rc.OldExpires = p.VersionOf(d.role), p.ExpiresOf(d.role)
		}
		var err error
		if d.role == RoleRoot {
			err = rc.compareRoots(p, c)
		} else {
			err = rc.compareTargets(p, c)
		}
		if err != nil {
			return Card{}, err
		}
		rc.warn(r.now(), usual.of(d.role))
		card.Roles = append(card.Roles, rc)
	}
	return card, nil
}

func (d *Doc) tallied() []Tallied {
	var out []Tallied
	for i, t := range d.Tallies() {
		by := d.role
		if d.role == RoleRoot && len(d.sets) == 2 {
			by = []string{"published root", "new root"}[i]
		}
		out = append(out, Tallied{By: by, Have: t.Have, Need: t.Need, Signed: ids(t.Signed), Missing: ids(t.Missing)})
	}
	return out
}

func ids(keys []Key) []string {
	out := make([]string, 0, len(keys))
	for _, k := range keys {
		out = append(out, k.ID)
	}
	return out
}

func (rc *RoleCard) compareRoots(p *Published, c *Change) error {
	before := newRoot(c.root.ConsistentSnapshot())
	for _, role := range Roles() {
		before.signed.Roles[role].Threshold = 0
	}
	if p != nil {
		before = p.Root
	}
	for _, role := range Roles() {
		rc.compareRole(role, before, c.root)
	}
	if before.ConsistentSnapshot() != c.root.ConsistentSnapshot() {
		rc.Other = append(rc.Other, fmt.Sprintf("consistent_snapshot: %t to %t", before.ConsistentSnapshot(), c.root.ConsistentSnapshot()))
	}
	if p == nil {
		return nil
	}
	for id, k := range c.root.keys {
		if old, ok := before.keys[id]; ok && !sameObject(old, k) {
			rc.Other = append(rc.Other, fmt.Sprintf("key %.16s keeps its ID and is another key", id))
		}
	}
	return rc.compareRest(p.rootEnv.text(), c.rootDoc.env.text(), "keys", "roles", "version", "expires", "consistent_snapshot")
}

func sameObject(a, b Key) bool {
	x, errX := cjson.EncodeCanonical(a.object)
	y, errY := cjson.EncodeCanonical(b.object)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

func (rc *RoleCard) compareRole(role string, before, after *Root) {
	for _, k := range after.Keys(role) {
		if !hasKey(before.Keys(role), k.ID) {
			rc.Keys = append(rc.Keys, KeyChange{Role: role, KeyID: k.ID, Type: k.Type(), Gains: true})
		}
	}
	for _, k := range before.Keys(role) {
		if !hasKey(after.Keys(role), k.ID) {
			rc.Keys = append(rc.Keys, KeyChange{Role: role, KeyID: k.ID, Type: k.Type()})
		}
	}
	if a, b := before.Threshold(role), after.Threshold(role); a != b {
		rc.Thresholds = append(rc.Thresholds, ThresholdChange{Role: role, From: a, To: b})
		if b < a {
			rc.Warnings = append(rc.Warnings, fmt.Sprintf("the threshold of %s falls from %d to %d", role, a, b))
		}
	}
}

// compareRest names top-level fields that differ and have no line of their own.
func (rc *RoleCard) compareRest(before, after []byte, known ...string) error {
	var a, b map[string]json.RawMessage
	if err := json.Unmarshal(before, &a); err != nil {
		return err
	}
	if err := json.Unmarshal(after, &b); err != nil {
		return err
	}
	names := map[string]bool{}
	for n := range a {
		names[n] = true
	}
	for n := range b {
		names[n] = true
	}
	for _, n := range sortedKeys(names) {
		if !slices.Contains(known, n) && !bytes.Equal(a[n], b[n]) {
			rc.Other = append(rc.Other, fmt.Sprintf("%s: %s to %s", n, orNothing(a[n]), orNothing(b[n])))
		}
	}
	return nil
}

func orNothing(raw json.RawMessage) string {
	if raw == nil {
		return "(nothing)"
	}
	if len(raw) > 60 {
		return string(raw[:60]) + "..."
	}
	return string(raw)
}

func sortedKeys(m map[string]bool) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	sort.Strings(out)
	return out
}

func (rc *RoleCard) compareTargets(p *Published, c *Change) error {
	before := newTargets()
	if p != nil {
		before = p.Targets
	}
	names := map[string]bool{}
	for path := range before.entries {
		names[path] = true
	}
	for path := range c.targets.entries {
		names[path] = true
	}
	for _, path := range sortedKeys(names) {
		if !bytes.Equal(before.entries[path], c.targets.entries[path]) {
			if err := rc.compareTarget(path, before, c.targets); err != nil {
				return err
			}
		}
	}
	if p == nil {
		return nil
	}
	return rc.compareRest(p.targetsEnv.text(), c.targetsDoc.env.text(), "targets", "version", "expires")
}

func (rc *RoleCard) compareTarget(path string, before, after *Targets) error {
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
	switch {
	case !had:
		ch.Other = !plainEntry(now, after.entries[path])
		rc.Added = append(rc.Added, ch)
	case !has:
		rc.Removed = append(rc.Removed, ch)
	default:
		ch.Other = plainEntry(old, before.entries[path]) != plainEntry(now, after.entries[path]) ||
			old.SHA512 == now.SHA512 && old.Length == now.Length && old.Version == now.Version
		rc.Changed = append(rc.Changed, ch)
	}
	return nil
}

// plainEntry reports whether an entry holds length, sha512 and custom.version and
// nothing else.
func plainEntry(t Target, raw json.RawMessage) bool {
	made := newTargets()
	return made.set(t) == nil && bytes.Equal(made.entries[t.Path], raw)
}

func (rc *RoleCard) warn(now time.Time, usual time.Duration) {
	valid := rc.Expires.Sub(now)
	switch {
	case valid <= 0:
		rc.Warnings = append(rc.Warnings, "it is expired already by this machine's clock")
	case valid > usual+48*time.Hour:
		rc.Warnings = append(rc.Warnings, fmt.Sprintf("it is valid for %d days, longer than the usual %d", int(valid.Hours())/24, int(usual.Hours())/24))
	}
	if !rc.OldExpires.IsZero() && rc.Expires.Before(rc.OldExpires) {
		rc.Warnings = append(rc.Warnings, "it expires before the published one: is a clock wrong?")
	}
}
