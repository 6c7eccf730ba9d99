package repo

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// Published is what stands in repository/ now, verified from root.json downwards.
type Published struct {
	Root      *meta.Root
	Targets   *meta.Targets // nil if it was not asked for
	Snapshot  *meta.Listing
	Timestamp *meta.Listing
	// Warnings name what a client would stumble over and the next commit mends, such
	// as a snapshot that does not match targets.json after fleetctl was interrupted.
	Warnings []string

	rootEnv, targetsEnv                  *meta.Envelope
	snapshotEnv, timestampEnv            *meta.Envelope
	rootData, targetsData, snapshotData  []byte
	timestampData                        []byte
	otherMeta                            map[string]*metadata.MetaFiles
	cold                                 map[string]*coldFile // see loadCold
	targetsMatch, snapshotMatchesOnStamp bool

	hashes map[string]string // see judgedFiles

	// givenUp: what is lost was given up, so files that do not fit are only what the
	// next change is built on. claimed is what files that do not verify say their
	// versions are, by role.
	givenUp bool
	// everListed are the cold roles that a snapshot from here has listed, with the version.
	everListed map[string]int64
	// snapshotOfOthers: the history does not know this snapshot, so another tool made it.
	snapshotOfOthers bool
	claimed          map[string]int64
}

// Load reads and verifies everything that is published. Expired metadata is loaded;
// see [Published.Expired]. Errors: ErrNoRepository, *FileError.
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
	h, err := r.readHistory()
	if err != nil {
		return nil, err
	}
	p.givenUp, p.everListed = h.GivenUp, h.Cold
	if p.Snapshot, p.snapshotData, p.snapshotEnv, err = r.loadListing(p, meta.RoleSnapshot, h.Roles[meta.RoleSnapshot]); err != nil {
		return nil, err
	}
	p.otherMeta = p.Snapshot.Files()
	known := h.Roles[meta.RoleSnapshot]
	p.snapshotOfOthers = known.Version > 0 && known != markOf(p.Snapshot.Version(), p.snapshotEnv.Signed())
	if p.Timestamp, p.timestampData, p.timestampEnv, err = r.loadListing(p, meta.RoleTimestamp, h.Roles[meta.RoleTimestamp]); err != nil {
		return nil, err
	}
	return p, r.checkStamp(p)
}

// LoadRoot reads root alone, for who only asks which keys it names.
func (r *Repo) LoadRoot() (*Published, error) { return r.settled(r.loadRoot) }

// loadListing reads and verifies snapshot or timestamp. Where what is lost was given up,
// one that cannot be used is an empty one, which the next change replaces.
func (r *Repo) loadListing(p *Published, role string, known mark) (*meta.Listing, []byte, *meta.Envelope, error) {
	data, env, err := r.loadRole(p.Root, role)
	var l *meta.Listing
	if err == nil {
		if l, err = meta.ParseListing(role, env.Text()); err != nil {
			err = &meta.FileError{File: "repository/" + role + ".json", Err: err}
		}
	}
	if err == nil || !p.givenUp {
		return l, data, env, err
	}
	if env != nil {
		m, merr := markOfEnvelope(env)
		if merr == nil && tuf.CheckVersion(role, known.Version, m.Version) == nil {
			p.claim(role, m.Version)
		}
	}
	p.Warnings = append(p.Warnings, err.Error()+"; the next change signs it anew")
	return meta.NoListing(role), nil, &meta.Envelope{}, nil
}

func (p *Published) claim(role string, version int64) {
	if p.claimed == nil {
		p.claimed = map[string]int64{}
	}
	p.claimed[role] = version
}

func (r *Repo) loadRoot() (*Published, error) {
	data, err := r.readMetadata("root.json", meta.MaxRootSize)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, r.noRoot()
	}
	if err != nil {
		return nil, err
	}
	root, env, err := meta.OpenRoot("repository/root.json", data)
	if err != nil {
		return nil, err
	}
	return &Published{Root: root, rootEnv: env, rootData: data}, nil
}

// noRoot says what the lack of root.json means.
func (r *Repo) noRoot() error {
	lists, err := r.numbered()
	if err != nil {
		return err
	}
	if list := lists[meta.RoleRoot]; len(list) > 0 {
		return meta.Refuse(meta.WentBack, `"repository/root.json" is missing, and %q is here`, "repository/"+versioned(list[len(list)-1], "root.json"))
	}
	return fmt.Errorf("%w: %q has no repository/root.json", ErrNoRepository, r.dir)
}

// loadRole reads NAME.json and verifies its signatures against root.
func (r *Repo) loadRole(root *meta.Root, role string) ([]byte, *meta.Envelope, error) {
	name := role + ".json"
	data, err := r.readMetadata(name, tuf.MaxSize(role))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, &meta.FileError{File: "repository/" + name, Reason: "missing"}
	}
	if err != nil {
		return nil, nil, err
	}
	env, err := meta.ParseEnvelope(data)
	if err != nil {
		return nil, nil, &meta.FileError{File: "repository/" + name, Err: err}
	}
	return data, env, meta.Verify(root, role, "repository/"+name, env)
}

func (r *Repo) loadTargets(p *Published) error {
	data, env, err := r.loadRole(p.Root, meta.RoleTargets)
	if err != nil && p.givenUp && env != nil && r.wasPublished(p, env) {
		p.Warnings = append(p.Warnings, err.Error()+"; it was published under an earlier root, and the next change signs it anew")
		err = nil
	}
	if err != nil {
		return err
	}
	t, err := meta.ParseTargets(env.Text())
	if err != nil {
		return &meta.FileError{File: "repository/targets.json", Err: err}
	}
	p.Targets, p.targetsEnv, p.targetsData = t, env, data
	r.loadCold(p)
	m := p.Snapshot.Meta()
	if t.Version() < m.Version && !p.givenUp {
		return &meta.FileError{File: "repository/targets.json", Reason: fmt.Sprintf(
			"is version %d, older than version %d that snapshot.json names: an old file was put back", t.Version(), m.Version)}
	}
	p.targetsMatch = meta.Matches(m, data, t.Version())
	if !p.targetsMatch {
		p.Warnings = append(p.Warnings, fmt.Sprintf(
			"repository/targets.json (version %d) is not the file that snapshot.json (version %d) names; %s",
			t.Version(), p.Snapshot.Version(), r.whatClientsDo(p.Root, meta.RoleTargets, m, "clients fail until the next commit")))
	}
	return nil
}

// wasPublished reports whether a targets.json that the present root does not accept is the
// newest that was published from here, under an earlier root: what a rotation made of it
// is lost. Nothing else that a key signed before it was replaced is believed.
func (r *Repo) wasPublished(p *Published, env *meta.Envelope) bool {
	h, err := r.readHistory()
	if err != nil {
		return false
	}
	if m, err := markOfEnvelope(env); err != nil || m != h.Roles[meta.RoleTargets] {
		return false
	}
	for n := p.Root.Version() - 1; n >= 1; n-- {
		l, err := r.numberedRoot(n)
		if err != nil {
			return false
		}
		if meta.Verify(l.root, meta.RoleTargets, "repository/targets.json", env) == nil {
			return true
		}
	}
	return false
}

// checkStamp compares snapshot.json with what timestamp.json names.
func (r *Repo) checkStamp(p *Published) error {
	m := p.Timestamp.Meta()
	if p.Snapshot.Version() < m.Version && !p.givenUp {
		return &meta.FileError{File: "repository/snapshot.json", Reason: fmt.Sprintf(
			"is version %d, older than version %d that timestamp.json names: an old file was put back", p.Snapshot.Version(), m.Version)}
	}
	p.snapshotMatchesOnStamp = meta.Matches(m, p.snapshotData, p.Snapshot.Version())
	if p.snapshotMatchesOnStamp {
		return nil
	}
	if p.AwaitsTimestamp() {
		p.Warnings = append(p.Warnings, fmt.Sprintf(
			"snapshot v%d is in place and waits for a timestamp that names it; clients see v%d", p.Snapshot.Version(), m.Version))
		return nil
	}
	p.Warnings = append(p.Warnings, fmt.Sprintf(
		"repository/snapshot.json (version %d) is not the file that timestamp.json (version %d) names; %s",
		p.Snapshot.Version(), p.Timestamp.Version(), r.whatClientsDo(p.Root, meta.RoleSnapshot, m, "clients fail until the next timestamp")))
	return nil
}

// whatClientsDo says what it means to clients that NAME.json is not the file that m
// names: with consistent snapshots they read the numbered one.
func (r *Repo) whatClientsDo(root *meta.Root, role string, m tuf.FileMeta, fail string) string {
	if !root.ConsistentSnapshot() {
		return fail
	}
	name := versioned(m.Version, role+".json")
	data, err := r.readMetadata(name, tuf.MaxSize(role))
	if err != nil || !meta.Matches(m, data, m.Version) {
		return fail
	}
	return fmt.Sprintf("clients read repository/%s, which is, and go on", name)
}

// AwaitsTimestamp reports whether a commit without timestamp left a newer snapshot
// in place (consistent snapshots only).
func (p *Published) AwaitsTimestamp() bool {
	return p.Root.ConsistentSnapshot() && p.Snapshot.Version() > p.Timestamp.Meta().Version
}

// NeedsTargets reports whether clients fail, or refuse to go back, until targets and
// snapshot are signed anew.
func (p *Published) NeedsTargets() bool { return p.givenUp || p.Targets != nil && !p.targetsMatch }

// NeedsTimestamp reports whether clients fail, or do not see the newest snapshot, until
// the next timestamp.
func (p *Published) NeedsTimestamp() bool { return !p.snapshotMatchesOnStamp }

// CheckPublishable refuses to hand out what agents refuse, or could not follow later:
// a folder that went back, and a chain of roots with a gap. Errors:
// *RefusedError{WentBack, LostVersions, SignAbove, RootChain}.
func (r *Repo) CheckPublishable(p *Published) error {
	if err := r.CheckStanding(p); err != nil {
		return err
	}
	if p.givenUp {
		return signAbove(p)
	}
	return r.CheckChain(p)
}

// ExpiresOf gives the published expiry of a role; the zero time if it is not loaded.
func (p *Published) ExpiresOf(role string) time.Time {
	switch {
	case role == meta.RoleRoot && p.Root != nil:
		return p.Root.Expires()
	case role == meta.RoleTargets && p.Targets != nil:
		return p.Targets.Expires()
	case role == meta.RoleSnapshot && p.Snapshot != nil:
		return p.Snapshot.Expires()
	case role == meta.RoleTimestamp && p.Timestamp != nil:
		return p.Timestamp.Expires()
	case p.cold[role] != nil:
		if t, err := p.ColdTargets(role); err == nil {
			return t.Expires()
		}
	}
	return time.Time{}
}

// VersionOf gives the published version of a role; 0 if it is not loaded.
func (p *Published) VersionOf(role string) int64 {
	switch {
	case role == meta.RoleRoot && p.Root != nil:
		return p.Root.Version()
	case role == meta.RoleTargets && p.Targets != nil:
		return p.Targets.Version()
	case role == meta.RoleSnapshot && p.Snapshot != nil:
		return p.Snapshot.Version()
	case role == meta.RoleTimestamp && p.Timestamp != nil:
		return p.Timestamp.Version()
	case p.otherMeta[role+".json"] != nil && role != meta.RoleTargets:
		return p.otherMeta[role+".json"].Version
	case p.cold[role] != nil:
		if t, err := p.ColdTargets(role); err == nil {
			return t.Version()
		}
	}
	return 0
}

// SignedBy gives the keys of a role whose signatures over the published metadata
// verify, one for each public key; none if the role is not loaded.
func (p *Published) SignedBy(role string) []meta.Key {
	env := map[string]*meta.Envelope{meta.RoleRoot: p.rootEnv, meta.RoleTargets: p.targetsEnv, meta.RoleSnapshot: p.snapshotEnv, meta.RoleTimestamp: p.timestampEnv}[role]
	if env == nil {
		return nil
	}
	return env.Counted(p.Root.Keys(role))
}

// Expired returns an *ExpiredError for the first of the roles that is expired.
func (p *Published) Expired(now time.Time, roles ...string) error {
	for _, role := range roles {
		if at := p.ExpiresOf(role); !at.IsZero() && !now.Before(at) {
			return &meta.ExpiredError{Role: role, Version: p.VersionOf(role), Expired: at, Now: now}
		}
	}
	return nil
}

// RootText is the signed part of root as JSON.
func (p *Published) RootText() []byte { return p.rootEnv.Text() }

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
