package meta

import (
	"slices"
	"time"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
)

// The top-level roles (TUF spec, section 2.1).
const (
	RoleRoot      = tuf.Root
	RoleTargets   = tuf.Targets
	RoleSnapshot  = tuf.Snapshot
	RoleTimestamp = tuf.Timestamp
)

// RoleCold is what cold roles are called together, where their keys are kept: see
// [ColdRole]. No metadata is of that name.
const RoleCold = "archive"

// Roles lists the roles in the order in which they sign.
func Roles() []string { return tuf.Roles() }

// IsRole reports whether s names a top-level role.
func IsRole(s string) bool { return slices.Contains(Roles(), s) }

// Expiries says how long new metadata of each role is valid.
type Expiries map[string]time.Duration

// DefaultExpiries are fleetctl's own: root 10 years, targets and snapshot 3 years,
// timestamp 14 days.
func DefaultExpiries() Expiries {
	return Expiries{
		RoleRoot: 87600 * time.Hour, RoleTargets: 26280 * time.Hour,
		RoleSnapshot: 26280 * time.Hour, RoleTimestamp: 336 * time.Hour,
	}
}

// Of is how long a role is valid.
func (e Expiries) Of(role string) time.Duration {
	if d, ok := e[role]; ok {
		return d
	}
	return DefaultExpiries()[role]
}

// specVersion is what go-tuf v0.5.2 writes; every client takes it (BASELINE, Formats).
const specVersion = "1.0"
