package repo

import (
	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// copies puts N.snapshot.json and N.targets.json, which clients read with consistent
// snapshots, beside plain files that are whole: one is missing, or what lies there was
// signed by nobody. Another signed file of that number is not ours to replace; see
// standing.
func (m *mender) copies() {
	if !m.top.root.ConsistentSnapshot() || len(m.files) > 0 {
		return
	}
	p, err := m.r.Load()
	if err != nil || !p.targetsMatch || p.givenUp {
		return
	}
	m.copyOf(meta.RoleTargets, meta.File{Version: p.Targets.Version(), Data: p.targetsData})
	m.copyOf(meta.RoleSnapshot, meta.File{Version: p.Snapshot.Version(), Data: p.snapshotData})
}

func (m *mender) copyOf(role string, plain meta.File) {
	now, err := markIn(plain.Data)
	name := versioned(plain.Version, role+".json")
	if err != nil || m.contradicts(role, now) {
		return
	}
	data, err := m.r.readMetadata(name, tuf.MaxSize(role))
	if notExist(err) {
		m.put(name, plain.Data, "%s was missing and is put back from %s.json", name, role)
		return
	}
	if err != nil {
		return
	}
	if m.everSigned(role, data) {
		return
	}
	m.junk = append(m.junk, name)
	m.put(name, plain.Data, "%s was signed by nobody and is put back from %s.json", name, role)
}

// everSigned reports whether the keys of any root of the chain signed a file.
func (m *mender) everSigned(role string, data []byte) bool {
	env, err := meta.ParseEnvelope(data)
	if err != nil {
		return false
	}
	for n := m.top.root.Version(); n >= 1; n-- {
		l, err := m.r.numberedRoot(n)
		if err != nil {
			return false // the chain begins above it
		}
		if meta.Verify(l.root, role, "", env) == nil {
			return true
		}
	}
	return false
}
