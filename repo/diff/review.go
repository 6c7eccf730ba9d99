package diff

import (
	"fmt"
	"time"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// Review says in plain data what signing a change would mean, role by role.
type Review struct {
	Intents []string       `json:"intents"`
	Staged  []repo.Staging `json:"stagings,omitempty"`
	Roles   []RoleReview   `json:"roles"`
	Created time.Time      `json:"created"`
	Drops   []string       `json:"dropped_signatures,omitempty"`
	Follow  FollowRoles    `json:"follow"`
}

// FollowRoles are the roles that commit will sign besides.
type FollowRoles []string

// RoleReview is what one role would sign.
type RoleReview struct {
	Role       string    `json:"role"`
	From       int64     `json:"from"` // published version, 0 for none
	To         int64     `json:"to"`
	Expires    time.Time `json:"expires"`
	OldExpires time.Time `json:"old_expires,omitzero"`
	// Hash is the SHA-256 of the payload, hex.
	Hash       string            `json:"sha256"`
	Signatures []meta.Tallied    `json:"signatures"`
	Keys       []KeyChange       `json:"keys,omitempty"`
	Stays      []KeyStays        `json:"stays,omitempty"`
	Thresholds []ThresholdChange `json:"thresholds,omitempty"`
	Added      []TargetChange    `json:"added,omitempty"`
	Changed    []TargetChange    `json:"changed,omitempty"`
	Removed    []TargetChange    `json:"removed,omitempty"`
	// Kept is how many targets stay as they are.
	Kept int `json:"kept,omitempty"`
	// Moved are entries that go from one role to another as they are.
	Moved []TargetsMoved `json:"moved,omitempty"`
	// Other are changes of fields that have no line of their own.
	Other    []string `json:"other,omitempty"`
	Warnings []string `json:"warnings,omitempty"`
}

// KeyChange is a key that gains or loses a role.
type KeyChange struct {
	Role  string    `json:"role"`
	KeyID tuf.KeyID `json:"keyid"`
	Type  string    `json:"keytype"`
	Gains bool      `json:"gains"`
	// Since is the root version since which a key that loses a role has it, 0 for unknown.
	Since int64 `json:"since_root,omitempty"`
}

// KeyStays is a key that keeps a role.
type KeyStays struct {
	Role  string    `json:"role"`
	KeyID tuf.KeyID `json:"keyid"`
	// Since is the root version since which it has it without a break, 0 for unknown.
	Since int64 `json:"since_root,omitempty"`
}

// ThresholdChange is a threshold before and after.
type ThresholdChange struct {
	Role string `json:"role"`
	From int    `json:"from"`
	To   int    `json:"to"`
}

// TargetsMoved says how many entries go, byte for byte, from one role to another.
type TargetsMoved struct {
	From  string `json:"from"`
	To    string `json:"to"`
	Count int    `json:"count"`
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
	// Other: the entry changes in more than length, sha512 and version; Details say in
	// what, one line for each field.
	Other   bool     `json:"other,omitempty"`
	Details []string `json:"details,omitempty"`
}

// Review describes a change against what is published (p is nil at init).
func Of(r *repo.Repo, p *repo.Published, c *repo.Change, usual meta.Expiries) (Review, error) {
	review, err := New(p, c, usual, r.Now())
	if err == nil && p != nil {
		tellSince(r, p, &review)
	}
	return review, err
}

// NewReview describes a change against what was published when it was made (p is nil at
// init). Every field of what would be signed that differs is in it; usual and now
// only decide about warnings.
func New(p *repo.Published, c *repo.Change, usual meta.Expiries, now time.Time) (Review, error) {
	review := Review{Intents: c.Intents, Staged: c.Stagings, Created: c.Created, Drops: c.Warnings}
	for _, d := range c.Docs() {
		rc := RoleReview{Role: d.Role(), To: d.Version(), Expires: d.Expires(), Hash: d.Hash(), Signatures: d.Tallied()}
		if p != nil {
			rc.From, rc.OldExpires = p.VersionOf(d.Role()), p.ExpiresOf(d.Role())
		}
		var err error
		switch d.Role() {
		case meta.RoleRoot:
			err = rc.compareRoots(p, c)
		case meta.RoleTargets:
			err = rc.compareTargets(p, c)
		default:
			err = rc.compareCold(p, c)
		}
		if err != nil {
			return Review{}, err
		}
		if meta.IsRole(d.Role()) {
			rc.warnGap() // cold roles have gaps between their numbers
		}
		rc.warn(now, usual.Of(usualRole(d.Role())))
		rc.warnClock(now, c.Created)
		review.Roles = append(review.Roles, rc)
	}
	return review, nil
}

// usualRole: a cold role expires as targets does.
func usualRole(role string) string {
	if meta.IsRole(role) {
		return role
	}
	return meta.RoleTargets
}

// warnGap names versions that are passed over: they were published and are lost, or
// somebody uses them up.
func (rc *RoleReview) warnGap() {
	if rc.From > 0 && rc.To > rc.From+1 {
		rc.Warnings = append(rc.Warnings, fmt.Sprintf("it follows v%d, and passes over %d version(s) between", rc.From, rc.To-rc.From-1))
	}
}

func (rc *RoleReview) warn(now time.Time, usual time.Duration) {
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

// warnClock compares this machine's clock with the time at which the change was made.
func (rc *RoleReview) warnClock(now, created time.Time) {
	const day = 24 * time.Hour
	switch {
	case created.IsZero():
	case created.Sub(now) > day:
		rc.Warnings = append(rc.Warnings, fmt.Sprintf("it was made %d days in the future by this machine's clock: one of two clocks is wrong", int((created.Sub(now)+day-1)/day)))
	case now.Sub(created) > 90*day:
		rc.Warnings = append(rc.Warnings, fmt.Sprintf("it was made %d days ago: an old change, or a wrong clock", int(now.Sub(created)/day)))
	}
}
