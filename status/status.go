package status

import (
	"fmt"
	"slices"
	"time"

	"github.com/fleet-hsm/fleet-hsm/config"
	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/keyring"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/diff"
	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/workflow"
)

// Report is how a repository stands.
type Report struct {
	Source     string `json:"source,omitempty"` // the URL, with --url
	Consistent bool   `json:"consistent_snapshot"`
	Roles      []Role `json:"roles"`
	// Archive is nil without cold roles.
	Archive     *repo.ColdSummary `json:"archive,omitempty"`
	Staged      *diff.Review      `json:"staged,omitempty"`
	Interrupted bool              `json:"interrupted_commit"`
	Leftovers   []string          `json:"leftovers,omitempty"`
	Warnings    []string          `json:"warnings,omitempty"`
	// Next is left to do, the most pressing first.
	Next []Step `json:"-"`
}

// Role is how one role stands.
type Role struct {
	Role      string    `json:"role"`
	Version   int64     `json:"version"`
	Expires   time.Time `json:"expires"`
	DaysLeft  int       `json:"days_left"`
	Threshold int       `json:"threshold"`
	Signed    int       `json:"signed"` // keys whose signatures verify
	Keys      []Key     `json:"keys"`

	// Left until it expires, how early to warn, and what new metadata gets.
	Left, Early, Usual time.Duration `json:"-"`
}

func newRole(cfg *config.Config, role string, version int64, expires, now time.Time) Role {
	left := expires.Sub(now)
	usual, ok := cfg.Expiries[role]
	if !ok {
		usual = meta.DefaultExpiries()[role]
	}
	return Role{Role: role, Version: version, Expires: expires.UTC(), DaysLeft: int(left.Hours() / 24),
		Keys: []Key{}, Left: left, Early: cfg.Early(role), Usual: usual}
}

// Key is a key of a role, and what this machine knows of it.
type Key struct {
	KeyID  tuf.KeyID `json:"keyid"`
	Type   string    `json:"keytype"`
	Name   string    `json:"name,omitempty"`
	Place  string    `json:"place"`           // URI, or "unknown"
	Proof  string    `json:"proof,omitempty"` // see proofOf
	Signed bool      `json:"signed"`          // its signature over the published metadata verifies
}

// keyOf says of a key what the configuration knows.
func keyOf(cfg *config.Config, k meta.Key) Key {
	key := Key{KeyID: k.ID, Type: k.Type(), Place: Unknown, Name: cfg.Keys[k.ID].Name}
	if u, ok := cfg.Locations[k.ID]; ok {
		key.Place = u.String()
	}
	return key
}

// Unknown stands where a key is, if this machine does not know.
const Unknown = "unknown"

// KeyOf says besides whether the role's key file may hold it, and what proves its birth.
func KeyOf(w *workflow.Session, role string, k meta.Key) Key {
	key := keyOf(w.Config, k)
	key.Proof = w.Keys.ProofOf(k)
	if key.Place != Unknown || !w.Keys.Files.Exists(keyring.RoleFile(role)) {
		return key
	}
	// Which keys are in the file only its passphrase tells.
	key.Place = keyring.RoleFile(role).String() + " (or elsewhere)"
	if len(w.Published.Root.Keys(role)) == 1 {
		key.Place = keyring.RoleFile(role).String()
	}
	return key
}

// OfInit is of a folder whose repository is staged and not published yet.
func OfInit(w *workflow.Session) (*Report, error) {
	review, err := diff.Of(w.Repo, nil, w.Staged, w.Config.Expiries)
	if err != nil {
		return nil, err
	}
	return &Report{Roles: []Role{}, Staged: &review, Next: stepsStaged(w)}, nil
}

// Of says how the folder of a session stands; clock says what is wrong with this machine's
// clock, nil for nothing.
func Of(w *workflow.Session, clock error) (*Report, error) {
	left, err := edit.FleetctlLeftovers(w.Repo)
	if err != nil {
		return nil, err
	}
	interrupted, err := w.Repo.InterruptedCommit()
	if err != nil {
		return nil, err
	}
	standing, err := w.Standing()
	if err != nil {
		return nil, err
	}
	now := w.Repo.Now()
	archive := w.Published.ColdSummary() // before its warnings are shown
	r := &Report{Archive: archive, Consistent: w.Published.Root.ConsistentSnapshot(), Leftovers: left, Interrupted: interrupted}
	if clock != nil {
		r.Warnings = append(r.Warnings, clock.Error())
	}
	r.Warnings = slices.Concat(r.Warnings, w.Published.Warnings, w.Keys.OnOneDevice(w.Published.Root, nil))
	for _, err := range standing {
		r.Warnings = append(r.Warnings, err.Error())
	}
	for _, role := range meta.Roles() {
		r.Roles = append(r.Roles, roleOf(w, role, now))
	}
	if s := w.Heavy(w.Published.Targets); s != "" {
		r.Warnings = append(r.Warnings, s)
	}
	r.Warnings = slices.Concat(r.Warnings, w.Published.Targets.UnportableNames(), r.expiryWarnings(now))
	r.coldExpiry(now, w.Config.Early(meta.RoleTargets))
	if w.Staged != nil {
		review, err := diff.Of(w.Repo, w.Published, w.Staged, w.Config.Expiries)
		if err != nil {
			return nil, err
		}
		r.Staged = &review
	}
	r.Next = r.steps(w, standing)
	if r.coldExpires(now, w.Config.Early(meta.RoleTargets)) && !has(r.Next, RenewTargets) {
		r.Next = append(r.Next, Step{RenewTargets, fmt.Sprintf("cold role %s is renewed with targets", r.Archive.Role)})
	}
	return r, nil
}

// coldExpires reports whether a cold role expires within early.
func (r *Report) coldExpires(now time.Time, early time.Duration) bool {
	return r.Archive != nil && r.Archive.Role != "" && r.Archive.Expires.Sub(now) < early
}

// coldExpiry warns of that.
func (r *Report) coldExpiry(now time.Time, early time.Duration) {
	if !r.coldExpires(now, early) {
		return
	}
	text := fmt.Sprintf("cold role %s expires in %s", r.Archive.Role, config.DaysUntil(r.Archive.Expires))
	if !r.Archive.Expires.After(now) {
		text = fmt.Sprintf("cold role %s expired %s; agents that have stored it find nothing any more", r.Archive.Role, config.DaysUntil(r.Archive.Expires))
	}
	r.Warnings = append(r.Warnings, text)
}

func roleOf(w *workflow.Session, role string, now time.Time) Role {
	r := newRole(w.Config, role, w.Published.VersionOf(role), w.Published.ExpiresOf(role), now)
	signed := w.Published.SignedBy(role)
	r.Threshold, r.Signed = w.Published.Root.Threshold(role), len(signed)
	for _, k := range w.Published.Root.Keys(role) {
		key := KeyOf(w, role, k)
		key.Signed = slices.ContainsFunc(signed, func(s meta.Key) bool { return s.ID == k.ID })
		r.Keys = append(r.Keys, key)
	}
	return r
}
