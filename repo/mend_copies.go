package repo

import "github.com/fleet-hsm/fleet-hsm/internal/tuf"

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
	m.copyOf(RoleTargets, metaFile{p.Targets.Version(), p.targetsData})
	m.copyOf(RoleSnapshot, metaFile{p.Snapshot.Version(), p.snapshotData})
}

func (m *mender) copyOf(role string, plain metaFile) {
	now, err := markIn(plain.data)
	name := versioned(plain.version, role+".json")
	if err != nil || m.contradicts(role, now) {
		return
	}
	data, err := m.r.readMetadata(name, tuf.MaxSize(role))
	if notExist(err) {
		m.put(name, plain.data, "%s was missing and is put back from %s.json", name, role)
		return
	}
	if err != nil {
		return
	}
	if m.everSigned(role, data) {
		return
	}
	m.junk = append(m.junk, name)
	m.put(name, plain.data, "%s was signed by nobody and is put back from %s.json", name, role)
}

// everSigned reports whether the keys of any root of the chain signed a file.
func (m *mender) everSigned(role string, data []byte) bool {
	env, err := parseEnvelope(data)
	if err != nil {
		return false
	}
	for n := m.top.root.Version(); n >= 1; n-- {
		l, err := m.r.numberedRoot(n)
		if err != nil {
			return false // the chain begins above it
		}
		if verifyRole(l.root, role, "", env) == nil {
			return true
		}
	}
	return false
}
