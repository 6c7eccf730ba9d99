package online

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"time"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
)

// memory is what the signer knows of the repository by itself, whatever the store shows:
// what it has seen in force, and what it has signed. The state file keeps it.
type memory struct {
	Schema int `json:"schema"`
	// Roots are the SHA-256 of each root that was followed, by version. They bind the
	// memory to one repository.
	Roots map[int64]string `json:"roots"`
	// Accepted counts how often a person has accepted an older state.
	Accepted int64 `json:"accepted"`
	// Targets, Snapshot and Timestamp are the highest in force; version 0 for none.
	Targets   seen `json:"targets"`
	Snapshot  seen `json:"snapshot"`
	Timestamp seen `json:"timestamp"`
	// Floor is the highest version that a timestamp in force ever had: the next one is
	// above it, also when its key has been replaced since.
	Floor int64 `json:"floor"`
	// Signed is the last that this signer signed, and under which root.
	Signed ownSigned `json:"signed"`
	// Reserved is what this signer was about to sign: its number belongs to these bytes,
	// whether a signature came of it or the process ended first.
	Reserved reserved `json:"reserved"`
	// Pending is a signed timestamp of which it is not known yet whether the store took it.
	Pending []byte `json:"pending,omitempty"`
}

// seen is a file that was in force.
type seen struct {
	Version int64  `json:"version"`
	SHA256  string `json:"sha256"`
}

type ownSigned struct {
	seen
	Root int64 `json:"root"`
}

// reserved is the canonical JSON of a timestamp's signed part, and its version; 0 for none.
type reserved struct {
	Version int64  `json:"version"`
	Message string `json:"message"`
}

const memorySchema = 1

func newMemory() *memory { return &memory{Schema: memorySchema, Roots: map[int64]string{}} }

func (m *memory) empty() bool { return len(m.Roots) == 0 }

// clone copies a memory, so that a check which fails leaves the last good one.
func (m *memory) clone() *memory {
	c := *m
	c.Roots = maps.Clone(m.Roots)
	return &c
}

func (m *memory) equal(o *memory) bool {
	return m.Accepted == o.Accepted && m.Targets == o.Targets && m.Snapshot == o.Snapshot && m.Timestamp == o.Timestamp && m.Floor == o.Floor &&
		m.Signed == o.Signed && m.Reserved == o.Reserved && string(m.Pending) == string(o.Pending) && maps.Equal(m.Roots, o.Roots)
}

// root is the version of the highest root.
func (m *memory) root() int64 {
	var high int64
	for v := range m.Roots {
		high = max(high, v)
	}
	return high
}

func sumOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// allows says why a file must not take the place of the one that is remembered: it goes
// back, it has other bytes at the same version, or its version cannot be honest.
func (have seen) allows(role string, version int64, sum string) error {
	switch {
	case have.Version > 0 && version < have.Version:
		return &RollbackError{Role: role, Have: have.Version, Got: version}
	case version == have.Version && sum != have.SHA256:
		return &DivergedError{Role: role, Version: version}
	}
	return tuf.CheckVersion(role, have.Version, version)
}

// allowsTimestamp is allows for what the store shows as timestamp; ts may be nil.
func (m *memory) allowsTimestamp(ts *published) error {
	have := m.Timestamp
	switch {
	case have.Version == 0:
		return nil
	case ts == nil:
		return &RollbackError{Role: roleTimestamp, Have: have.Version}
	case ts.old:
		return &RollbackError{Role: roleTimestamp, Have: have.Version, Got: ts.Version, Retired: true}
	}
	return have.allows(roleTimestamp, ts.Version, sumOf(ts.data))
}

// allowsSnapshot is allows for a snapshot and its targets, both verified.
func (m *memory) allowsSnapshot(snap *snapshot) error {
	if err := m.Snapshot.allows(roleSnapshot, snap.Version, sumOf(snap.data)); err != nil {
		return err
	}
	return m.Targets.allows(roleTargets, snap.listed.version, snap.listed.sum)
}

// lapsed says why an expired timestamp is not renewed: nothing tells that it is the
// newest, so it may have been put back. Who remembers it knows better.
func (m *memory) lapsed(ts *published, now time.Time) error {
	if ts == nil || now.Before(ts.Expires) {
		return nil
	}
	sum := sumOf(ts.data)
	if ts.old && m.Floor > 0 || !ts.old && (sum == m.Timestamp.SHA256 || sum == m.Signed.SHA256) {
		return nil
	}
	return &LapsedError{Version: ts.Version, Expires: ts.Expires}
}

// follow notes a root. Where it takes keys from a role, agents forget what they have of
// it (TUF spec 5.3.11), and so does the memory: it is how a repository recovers from
// versions that a thief has signed.
func (m *memory) follow(before, after *root) {
	if after.Version <= m.root() {
		return
	}
	m.Roots[after.Version] = sumOf(after.data)
	if before == nil {
		return
	}
	// A timestamp may have been signed by any of the keys before; the floor stays.
	if before.roles[roleTimestamp].print != after.roles[roleTimestamp].print || revoked(before, after, roleSnapshot) {
		m.Timestamp = seen{}
	}
	if revoked(before, after, roleSnapshot) || revoked(before, after, roleTargets) {
		m.Snapshot = seen{}
	}
	if revoked(before, after, roleTargets) {
		m.Targets = seen{}
	}
}

// revoked: so many keys of the role are gone that those left of a threshold could be the
// thief's alone.
func revoked(before, after *root, role string) bool {
	gone := 0
	for id := range before.roles[role].keys {
		if _, ok := after.roles[role].keys[id]; !ok {
			gone++
		}
	}
	return gone >= before.roles[role].threshold
}

// accept is what a person means who has put an older state back on purpose. The floor
// stays: agents have seen it.
func (m *memory) accept() {
	m.Accepted++
	m.Targets, m.Snapshot, m.Timestamp = seen{}, seen{}, seen{}
}

// note takes what is in force now.
func (m *memory) note(ts *published, snap *snapshot) {
	if ts != nil && !ts.old {
		m.Timestamp = seen{ts.Version, sumOf(ts.data)}
		m.Floor = max(m.Floor, ts.Version)
	}
	if m.Signed.Version <= m.Floor {
		m.Pending = nil
	}
	if m.Reserved.Version <= m.Floor {
		m.Reserved = reserved{}
	}
	m.Snapshot = seen{snap.Version, sumOf(snap.data)}
	m.Targets = seen{snap.listed.version, snap.listed.sum}
}

// join takes what another process of this instance has written meanwhile: the higher one
// counts. What a person or a later root has made forgotten stays forgotten.
func (m *memory) join(o *memory) {
	m.Floor = max(m.Floor, o.Floor)
	if o.Signed.Version > m.Signed.Version {
		m.Signed, m.Pending = o.Signed, o.Pending
	}
	if o.Reserved.Version > m.Reserved.Version {
		m.Reserved = o.Reserved
	}
	switch c := cmp.Or(cmp.Compare(o.Accepted, m.Accepted), cmp.Compare(o.root(), m.root())); {
	case c < 0:
		return
	case c > 0:
		m.Accepted, m.Roots, m.Targets, m.Snapshot, m.Timestamp = o.Accepted, maps.Clone(o.Roots), o.Targets, o.Snapshot, o.Timestamp
		return
	}
	for _, p := range []struct{ mine, theirs *seen }{{&m.Targets, &o.Targets}, {&m.Snapshot, &o.Snapshot}, {&m.Timestamp, &o.Timestamp}} {
		if p.theirs.Version > p.mine.Version {
			*p.mine = *p.theirs
		}
	}
}
