package verify

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Severity says how much a finding matters: Error, Warning or Info.
type Severity string

const (
	// Error: a client refuses the repository or gets the wrong thing.
	Error Severity = "error"
	// Warning: agents work today; something is not as it should be.
	Warning Severity = "warning"
	// Info: worth knowing.
	Info Severity = "info"
)

func (s Severity) rank() int {
	switch s {
	case Error:
		return 0
	case Warning:
		return 1
	}
	return 2
}

// Finding is one thing that is wrong.
type Finding struct {
	Code     Code     `json:"code"`
	Severity Severity `json:"severity"`
	// Role is root, timestamp, snapshot, targets or a delegated role; empty if the
	// finding is about none of them.
	Role string `json:"role,omitempty"`
	// File is relative to the web root, with slashes.
	File string `json:"file,omitempty"`
	Text string `json:"text"`
}

// String is the finding on one line.
func (f Finding) String() string {
	if f.File == "" {
		return fmt.Sprintf("%s %s: %s", f.Severity, f.Code, f.Text)
	}
	return fmt.Sprintf("%s %s %q: %s", f.Severity, f.Code, f.File, f.Text)
}

// Role is what the walk found for one role. Version is 0 if its metadata could not
// be read.
type Role struct {
	Name      string    `json:"name"`
	File      string    `json:"file"`
	Version   int64     `json:"version"`
	Expires   time.Time `json:"expires"`
	Expired   bool      `json:"expired"`
	Keys      int       `json:"keys"`
	Threshold int       `json:"threshold"`
	// Signed counts distinct keys of the role whose signatures verify.
	Signed int `json:"signed"`
}

// Report is the outcome of [Run].
type Report struct {
	namedOnce sync.Once
	named     map[string]Named // see Named

	Source string `json:"source"`
	// At is the moment at which expiry was judged.
	At time.Time `json:"at"`
	// PinnedRoot is the version of the root that the walk began with.
	PinnedRoot int64 `json:"pinnedRoot"`
	// Roots lists the versions of root that were seen, ascending.
	Roots              []int64 `json:"roots"`
	ConsistentSnapshot bool    `json:"consistentSnapshot"`
	// Roles is in the order root, timestamp, snapshot, targets, delegated roles.
	Roles []Role `json:"roles"`
	// Clients counts the refreshes made with go-tuf v2: 1, or one per root.
	Clients int `json:"clients"`
	// Targets counts the target paths that metadata names.
	Targets int `json:"targets"`
	// Files and Bytes count what was read to be hashed; 0 without AllTargets.
	Files    int       `json:"files"`
	Bytes    int64     `json:"bytes"`
	Findings []Finding `json:"findings"`
	// Documents are the bytes of root, timestamp, snapshot and targets, by role, as
	// far as enough keys of the last trusted root signed them.
	Documents map[string][]byte `json:"-"`
	// Answers are what the source gave for each metadata file that it was asked for.
	Answers map[string]Answer `json:"-"`
}

// OK reports whether no finding is an error.
func (r *Report) OK() bool { return r.Count(Error) == 0 }

// Count is the number of findings of one severity.
func (r *Report) Count(s Severity) int {
	n := 0
	for _, f := range r.Findings {
		if f.Severity == s {
			n++
		}
	}
	return n
}

// Role gives what was found for one role.
func (r *Report) Role(name string) (Role, bool) {
	i := slices.IndexFunc(r.Roles, func(x Role) bool { return x.Name == name })
	if i < 0 {
		return Role{}, false
	}
	return r.Roles[i], true
}

// sort puts errors first; within a severity the order of the walk stays.
func (r *Report) sort() {
	slices.SortStableFunc(r.Findings, func(a, b Finding) int {
		return cmp.Compare(a.Severity.rank(), b.Severity.rank())
	})
}

// Expired reports whether the metadata of any role has expired.
func (r *Report) Expired() bool {
	return slices.ContainsFunc(r.Roles, func(role Role) bool { return role.Expired })
}

// OnlyExpiry reports whether a finding says no more than that something has expired: the
// check of dates, or the client that stopped there.
func (r *Report) OnlyExpiry(f Finding) bool {
	return f.Code == CodeExpired || f.Code == CodeClient && r.Expired()
}
