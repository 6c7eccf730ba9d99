package repo

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// Published is what stands in repository/ now, verified from root.json downwards.
type Published struct {
	Root      *Root
	Targets   *Targets // nil if it was not asked for
	Snapshot  *Listing
	Timestamp *Listing
	// Warnings name what a client would stumble over and the next commit mends, such
	// as a snapshot that does not match targets.json after fleetctl was interrupted.
	Warnings []string

	rootEnv, targetsEnv                  *envelope
	snapshotEnv, timestampEnv            *envelope
	rootData, targetsData, snapshotData  []byte
	otherMeta                            map[string]*metadata.MetaFiles
	targetsMatch, snapshotMatchesOnStamp bool
}

// Load reads and verifies everything that is published. Expired metadata is loaded;
// see [Published.Expired]. Errors: ErrNoRepository, *MetadataError.
func (r *Repo) Load() (*Published, error) { return r.settled(r.load) }

func (r *Repo) load() (*Published, error) {
	p, err := r.loadOnline()
	if err != nil {
		return nil, err
	}
	return p, r.loadTargets(p)
}

// LoadOnline reads what the timestamp needs: root, snapshot and timestamp, but not
// targets.json.
func (r *Repo) LoadOnline() (*Published, error) {
	return r.settled(r.loadOnline)
}

func (r *Repo) loadOnline() (*Published, error) {
	p, err := r.loadRoot()
	if err != nil {
		return nil, err
	}
	p.snapshotData, p.snapshotEnv, err = r.loadRole(p.Root, RoleSnapshot)
	if err != nil {
		return nil, err
	}
	if p.Snapshot, err = parseListing(RoleSnapshot, p.snapshotEnv.text()); err != nil {
		return nil, &MetadataError{File: "repository/snapshot.json", Err: err}
	}
	p.otherMeta = p.Snapshot.meta
	_, p.timestampEnv, err = r.loadRole(p.Root, RoleTimestamp)
	if err != nil {
		return nil, err
	}
	if p.Timestamp, err = parseListing(RoleTimestamp, p.timestampEnv.text()); err != nil {
		return nil, &MetadataError{File: "repository/timestamp.json", Err: err}
	}
	return p, p.checkStamp()
}

// LoadRoot reads root alone, for who only asks which keys it names.
func (r *Repo) LoadRoot() (*Published, error) { return r.settled(r.loadRoot) }

func (r *Repo) loadRoot() (*Published, error) {
	data, err := r.readMetadata("root.json", MaxRootSize)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %q has no repository/root.json", ErrNoRepository, r.dir)
	}
	if err != nil {
		return nil, err
	}
	root, env, err := readRoot("repository/root.json", data)
	if err != nil {
		return nil, err
	}
	return &Published{Root: root, rootEnv: env, rootData: data}, nil
}

// readRoot parses a root and checks that it is signed by itself.
func readRoot(file string, data []byte) (*Root, *envelope, error) {
	env, err := parseEnvelope(data)
	if err != nil {
		return nil, nil, &MetadataError{File: file, Err: err}
	}
	root, err := parseRoot(env.text())
	if err != nil {
		return nil, nil, &MetadataError{File: file, Reason: "clients refuse it", Err: err}
	}
	if err := verifyRole(root, RoleRoot, file, env); err != nil {
		return nil, nil, err
	}
	return root, env, nil
}

// loadRole reads NAME.json and verifies its signatures against root.
func (r *Repo) loadRole(root *Root, role string) ([]byte, *envelope, error) {
	name := role + ".json"
	data, err := r.readMetadata(name, sizeLimit(role))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, &MetadataError{File: "repository/" + name, Reason: "missing"}
	}
	if err != nil {
		return nil, nil, err
	}
	env, err := parseEnvelope(data)
	if err != nil {
		return nil, nil, &MetadataError{File: "repository/" + name, Err: err}
	}
	return data, env, verifyRole(root, role, "repository/"+name, env)
}

func verifyRole(root *Root, role, file string, env *envelope) error {
	keys, need := root.Keys(role), root.Threshold(role)
	if have := len(env.counted(keys)); have < need {
		return &MetadataError{File: file, Reason: fmt.Sprintf("%d of %d signatures verify with the %s keys of root v%d", have, need, role, root.Version())}
	}
	return nil
}

func (r *Repo) loadTargets(p *Published) error {
	data, env, err := r.loadRole(p.Root, RoleTargets)
	if err != nil {
		return err
	}
	t, err := parseTargets(env.text())
	if err != nil {
		return &MetadataError{File: "repository/targets.json", Err: err}
	}
	p.Targets, p.targetsEnv, p.targetsData = t, env, data
	m := p.Snapshot.Meta()
	if t.Version() < m.Version {
		return &MetadataError{File: "repository/targets.json", Reason: fmt.Sprintf(
			"is version %d, older than version %d that snapshot.json names: an old file was put back", t.Version(), m.Version)}
	}
	p.targetsMatch = m.matches(data, t.Version())
	if !p.targetsMatch {
		p.Warnings = append(p.Warnings, fmt.Sprintf(
			"repository/targets.json (version %d) is not the file that snapshot.json (version %d) names; clients fail until the next commit",
			t.Version(), p.Snapshot.Version()))
	}
	return nil
}

// checkStamp compares snapshot.json with what timestamp.json names.
func (p *Published) checkStamp() error {
	m := p.Timestamp.Meta()
	if p.Snapshot.Version() < m.Version {
		return &MetadataError{File: "repository/snapshot.json", Reason: fmt.Sprintf(
			"is version %d, older than version %d that timestamp.json names: an old file was put back", p.Snapshot.Version(), m.Version)}
	}
	p.snapshotMatchesOnStamp = m.matches(p.snapshotData, p.Snapshot.Version())
	if p.snapshotMatchesOnStamp {
		return nil
	}
	if p.AwaitsTimestamp() {
		p.Warnings = append(p.Warnings, fmt.Sprintf(
			"snapshot v%d is in place and waits for a timestamp that names it; clients see v%d", p.Snapshot.Version(), m.Version))
		return nil
	}
	p.Warnings = append(p.Warnings, fmt.Sprintf(
		"repository/snapshot.json (version %d) is not the file that timestamp.json (version %d) names; clients fail until the next timestamp",
		p.Snapshot.Version(), p.Timestamp.Version()))
	return nil
}

// AwaitsTimestamp reports whether a commit without timestamp left a newer snapshot
// in place (consistent snapshots only).
func (p *Published) AwaitsTimestamp() bool {
	return p.Root.ConsistentSnapshot() && p.Snapshot.Version() > p.Timestamp.Meta().Version
}

// ExpiresOf gives the published expiry of a role; the zero time if it is not loaded.
func (p *Published) ExpiresOf(role string) time.Time {
	switch {
	case role == RoleRoot && p.Root != nil:
		return p.Root.Expires()
	case role == RoleTargets && p.Targets != nil:
		return p.Targets.Expires()
	case role == RoleSnapshot && p.Snapshot != nil:
		return p.Snapshot.Expires()
	case role == RoleTimestamp && p.Timestamp != nil:
		return p.Timestamp.Expires()
	}
	return time.Time{}
}

// VersionOf gives the published version of a role; 0 if it is not loaded.
func (p *Published) VersionOf(role string) int64 {
	switch {
	case role == RoleRoot && p.Root != nil:
		return p.Root.Version()
	case role == RoleTargets && p.Targets != nil:
		return p.Targets.Version()
	case role == RoleSnapshot && p.Snapshot != nil:
		return p.Snapshot.Version()
	case role == RoleTimestamp && p.Timestamp != nil:
		return p.Timestamp.Version()
	}
	return 0
}

// SignedBy gives the keys of a role whose signatures over the published metadata
// verify, one for each public key; none if the role is not loaded.
func (p *Published) SignedBy(role string) []Key {
	env := map[string]*envelope{RoleRoot: p.rootEnv, RoleTargets: p.targetsEnv, RoleSnapshot: p.snapshotEnv, RoleTimestamp: p.timestampEnv}[role]
	if env == nil {
		return nil
	}
	return env.counted(p.Root.Keys(role))
}

// Expired returns an *ExpiredError for the first of the roles that is expired.
func (p *Published) Expired(now time.Time, roles ...string) error {
	for _, role := range roles {
		if at := p.ExpiresOf(role); !at.IsZero() && !now.Before(at) {
			return &ExpiredError{Role: role, Version: p.VersionOf(role), Expired: at, Now: now}
		}
	}
	return nil
}

// RootJSON is the published root.json, as it stands on disk.
func (p *Published) RootJSON() []byte { return p.rootData }

// RootJSON reads and verifies the published root and gives its bytes.
func (r *Repo) RootJSON() ([]byte, error) {
	p, err := r.loadRoot()
	if err != nil {
		return nil, err
	}
	return p.rootData, nil
}
