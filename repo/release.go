package repo

import (
	"fmt"
	"maps"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// ReleaseOptions say how snapshot and timestamp are made.
type ReleaseOptions struct {
	Expiries meta.Expiries
	// AllowShorter permits an expiry before the published one.
	AllowShorter bool
	// WithoutTimestamp leaves the timestamp to another machine (consistent snapshots
	// only: in the flat layout clients would fail until it came).
	WithoutTimestamp bool
}

// Release is a change with the snapshot and timestamp that will publish it, or the
// next timestamp alone. Sign what [Release.Next] gives until it gives nil, then
// commit.
type Release struct {
	p    *Published // nil at init
	c    *Change    // nil for a timestamp alone
	root *meta.Root // in force after the commit
	opts ReleaseOptions
	now  time.Time

	numbers *numbers

	needSnapshot, needTimestamp bool
	snapshot, timestamp         *meta.Doc
	targetsFile, snapshotFile   meta.File
	// coldFiles are the cold roles that are new, by file name.
	coldFiles map[string]meta.File
}

// Timestamp prepares the next timestamp over the published snapshot. It does not
// read targets.json unless snapshot.json is not the file that the published
// timestamp names; then targets.json must be the one that the snapshot names.
// Errors: *FileError, *ExpiredError, *RefusedError{ShorterExpiry}.
func (r *Repo) Timestamp(opts ReleaseOptions) (*Release, error) {
	p, err := r.settled(r.loadOnline)
	if err != nil {
		return nil, err
	}
	if err := p.Expired(r.now(), meta.RoleRoot, meta.RoleSnapshot); err != nil {
		return nil, err
	}
	// What another tool has signed may stand on targets older than those published from
	// here. It is read once: the commit remembers the snapshot.
	if !p.snapshotMatchesOnStamp || p.snapshotOfOthers {
		if err := r.loadTargets(p); err != nil {
			return nil, err
		}
		if !p.targetsMatch {
			return nil, &meta.FileError{File: "repository/targets.json", Reason: fmt.Sprintf(
				"is not the file that snapshot v%d names; a timestamp over it would stop every client", p.Snapshot.Version())}
		}
	}
	if err := r.CheckStanding(p); err != nil {
		return nil, err
	}
	if p.givenUp {
		return nil, signAbove(p)
	}
	rel := &Release{p: p, root: p.Root, opts: opts, now: r.now(), needTimestamp: true}
	if rel.numbers, err = r.numbers(p); err != nil {
		return nil, err
	}
	rel.snapshotFile = meta.File{Version: p.Snapshot.Version(), Data: p.snapshotData}
	return rel, nil
}

// Published is what the release was built on; nil at init.
func (rel *Release) Published() *Published { return rel.p }

// CheckRelease refuses, before anybody signs, what could not be published afterwards.
// Errors: *RefusedError.
func (r *Repo) CheckRelease(p *Published, c *Change, opts ReleaseOptions) error {
	if opts.WithoutTimestamp && !c.root.ConsistentSnapshot() {
		return meta.Refuse(meta.FlatLayout, "a commit without timestamp needs consistent snapshots; here clients would fail until the timestamp came")
	}
	if p == nil {
		return r.CheckSound(nil, c)
	}
	if err := c.checkBase(p); err != nil {
		return err
	}
	if err := r.checkHistory(p, c); err != nil {
		return err
	}
	rel := &Release{p: p, c: c, root: c.root, opts: opts, now: r.now()}
	if opts.WithoutTimestamp && !rel.accepts(meta.RoleTimestamp, p.timestampEnv) {
		return meta.Refuse(meta.TimestampKeys, "root v%d asks for other timestamp keys than those that signed timestamp v%d; without a new one every client would fail", c.root.Version(), p.Timestamp.Version())
	}
	rel.decide()
	if err := r.checkSound(rel); err != nil {
		return err
	}
	for _, role := range rel.Roles() {
		expires := meta.UTCSecond(rel.now.Add(opts.Expiries.Of(role)))
		if err := checkExpiry(role, p, expires, opts.AllowShorter); err != nil {
			return err
		}
	}
	return nil
}

// Release turns a change whose thresholds are met into a release over what is
// published now (p is nil at init). Errors: *ShortError, *RefusedError.
func (r *Repo) Release(p *Published, c *Change, opts ReleaseOptions) (*Release, error) {
	for _, d := range c.Docs() {
		if short := d.Short(); short != nil {
			return nil, short
		}
	}
	if err := r.CheckRelease(p, c, opts); err != nil {
		return nil, err
	}
	rel := &Release{p: p, c: c, root: c.root, opts: opts, now: r.now()}
	var err error
	if rel.numbers, err = r.numbers(p); err != nil {
		return nil, err
	}
	if err := rel.fixTargets(); err != nil {
		return nil, err
	}
	rel.decide()
	if !rel.needSnapshot {
		rel.snapshotFile = meta.File{Version: p.Snapshot.Version(), Data: p.snapshotData}
	}
	return rel, nil
}

func (rel *Release) fixTargets() error {
	var err error
	if rel.coldFiles, err = rel.c.coldFiles(); err != nil {
		return err
	}
	if rel.c.targetsDoc == nil {
		rel.targetsFile = meta.File{Version: rel.p.Targets.Version(), Data: rel.p.targetsData}
		return nil
	}
	b, err := rel.c.targetsDoc.Bytes()
	if err != nil {
		return err
	}
	if len(b) > tuf.MaxTargets {
		return meta.Refuse(meta.TooLarge, "targets.json would be %d bytes", len(b))
	}
	rel.targetsFile = meta.File{Version: rel.c.targets.Version(), Data: b}
	return nil
}

// decide says which of snapshot and timestamp have to be signed again: those that
// changed below, and those whose published signatures the new root does not accept.
// After keys were taken from a role, or its threshold changed, the timestamp rises in
// any case: agents drop snapshot and targets then, and with an unchanged timestamp
// they would never fetch them again (COMPAT 5.4).
func (rel *Release) decide() {
	p := rel.p
	if p == nil {
		rel.needSnapshot, rel.needTimestamp = true, true
		return
	}
	rel.needSnapshot = rel.c.targetsDoc != nil || !p.targetsMatch || !rel.accepts(meta.RoleSnapshot, p.snapshotEnv)
	rel.needTimestamp = rel.needSnapshot || !p.snapshotMatchesOnStamp || rel.rolesLostPower() ||
		!meta.SameKeys(p.Root, rel.root, meta.RoleTimestamp)
	if rel.opts.WithoutTimestamp {
		rel.needTimestamp = false
	}
}

func (rel *Release) accepts(role string, env *meta.Envelope) bool {
	return meta.Verify(rel.root, role, "", env) == nil
}

func (rel *Release) rolesLostPower() bool {
	for _, role := range []string{meta.RoleTargets, meta.RoleSnapshot, meta.RoleTimestamp} {
		if rel.p.Root.Threshold(role) != rel.root.Threshold(role) || meta.KeysRemoved(rel.p.Root, rel.root, role) {
			return true
		}
	}
	return false
}

// Next gives what has to be signed now: the snapshot, then, when that is signed, the
// timestamp over it; nil when all is signed.
func (rel *Release) Next() (*meta.Doc, error) {
	if rel.needSnapshot && rel.snapshot == nil {
		if err := rel.makeSnapshot(); err != nil {
			return nil, err
		}
	}
	if rel.needSnapshot && !rel.snapshot.Met() {
		return rel.snapshot, nil
	}
	if !rel.needTimestamp {
		return nil, nil
	}
	if rel.timestamp == nil {
		if err := rel.makeTimestamp(); err != nil {
			return nil, err
		}
	}
	if !rel.timestamp.Met() {
		return rel.timestamp, nil
	}
	return nil, nil
}

// Roles lists the roles that the release will sign.
func (rel *Release) Roles() []string {
	var roles []string
	if rel.needSnapshot {
		roles = append(roles, meta.RoleSnapshot)
	}
	if rel.needTimestamp {
		roles = append(roles, meta.RoleTimestamp)
	}
	return roles
}

// Root is the root that will be in force after the commit.
func (rel *Release) Root() *meta.Root { return rel.root }

func (rel *Release) makeSnapshot() error {
	others := map[string]*metadata.MetaFiles{}
	if rel.p != nil {
		maps.Copy(others, rel.p.otherMeta)
	}
	for name, f := range rel.coldFiles {
		others[name] = meta.Describe(f)
	}
	var err error
	rel.snapshot, err = rel.makeListing(meta.RoleSnapshot, rel.targetsFile, others)
	return err
}

func (rel *Release) makeTimestamp() error {
	if rel.needSnapshot {
		b, err := rel.snapshot.Bytes()
		if err != nil {
			return err
		}
		if len(b) > tuf.MaxSnapshot {
			return meta.Refuse(meta.TooLarge, "snapshot.json would be %d bytes; clients refuse more than %d", len(b), tuf.MaxSnapshot)
		}
		rel.snapshotFile = meta.File{Version: rel.snapshot.Version(), Data: b}
	}
	var err error
	rel.timestamp, err = rel.makeListing(meta.RoleTimestamp, rel.snapshotFile, nil)
	return err
}

func (rel *Release) makeListing(role string, file meta.File, others map[string]*metadata.MetaFiles) (*meta.Doc, error) {
	next, err := rel.numbers.next(role)
	if err != nil {
		return nil, err
	}
	expires, err := rel.expiry(role)
	if err != nil {
		return nil, err
	}
	signed, err := meta.NewListing(role, next.v, expires, file, others)
	if err != nil {
		return nil, err
	}
	d := meta.NewDoc(role, next.v, expires, meta.NewEnvelope(signed))
	d.SignWith(rel.root.Signers(role))
	return d, nil
}

// expiry is when a new snapshot or timestamp expires.
func (rel *Release) expiry(role string) (time.Time, error) {
	published := time.Time{}
	if rel.p != nil && !rel.opts.AllowShorter {
		published = rel.p.ExpiresOf(role)
	}
	t, _ := tuf.NewExpiry(rel.now, rel.opts.Expiries.Of(role), published, roundingSlack)
	return t, checkExpiry(role, rel.p, t, rel.opts.AllowShorter)
}

// roundingSlack is how much earlier a new expiry may be without being refused.
const roundingSlack = 2 * time.Second

// checkExpiry refuses an expiry before the published one: most often a clock that
// went back, and then clients elsewhere would see the repository expire early.
func checkExpiry(role string, p *Published, expires time.Time, allowShorter bool) error {
	if p == nil || allowShorter {
		return nil
	}
	// go-tuf rounds to the nearest second, so what fleetctl wrote a moment ago may seem
	// to expire a second later.
	if old := p.ExpiresOf(role); expires.Add(roundingSlack).Before(meta.UTCSecond(old)) {
		return meta.Refuse(meta.ShorterExpiry, "the new %s would expire %s, before the published one (%s)",
			role, expires.Format(time.RFC3339), old.UTC().Format(time.RFC3339))
	}
	return nil
}

// finish checks that everything is signed and within the clients' limits, and gives
// the files in the order in which they are to appear.
func (rel *Release) finish() ([]webFile, error) {
	if next, err := rel.Next(); err != nil || next != nil {
		if err == nil {
			err = next.Short()
		}
		return nil, err
	}
	var files []webFile
	consistent := rel.root.ConsistentSnapshot()
	flips := rel.p != nil && rel.p.Root.ConsistentSnapshot() != consistent
	changedTargets := rel.c != nil && rel.c.targetsDoc != nil
	cold, err := rel.coldToWrite(consistent && flips)
	if err != nil {
		return nil, err
	}
	if consistent {
		files = append(files, numberedFiles(cold)...)
	}
	if consistent && (changedTargets || flips) {
		files = append(files, webFile{versioned(rel.targetsFile.Version, "targets.json"), rel.targetsFile.Data})
	}
	if consistent && (rel.needSnapshot || flips) {
		// Without a timestamp to make, nobody has fixed the snapshot's bytes yet.
		if err := rel.fixSnapshot(); err != nil {
			return nil, err
		}
		files = append(files, webFile{versioned(rel.snapshotFile.Version, "snapshot.json"), rel.snapshotFile.Data})
	}
	root, err := rel.rootFiles(consistent)
	if err != nil {
		return nil, err
	}
	if !consistent {
		files = append(files, root...)
	}
	files = append(files, plainFiles(cold)...)
	if changedTargets {
		files = append(files, webFile{"targets.json", rel.targetsFile.Data})
	}
	if rel.needSnapshot {
		files = append(files, webFile{"snapshot.json", rel.snapshotFile.Data})
	}
	if consistent {
		files = append(files, root...)
	}
	return rel.appendTimestamp(files)
}

func (rel *Release) fixSnapshot() error {
	if !rel.needSnapshot || rel.snapshotFile.Data != nil {
		return nil
	}
	b, err := rel.snapshot.Bytes()
	rel.snapshotFile = meta.File{Version: rel.snapshot.Version(), Data: b}
	return err
}

func (rel *Release) appendTimestamp(files []webFile) ([]webFile, error) {
	if !rel.needTimestamp {
		return files, nil
	}
	data, err := rel.timestamp.Bytes()
	if err != nil {
		return nil, err
	}
	if len(data) > meta.MaxTimestampSize {
		return nil, meta.Refuse(meta.TooLarge, "timestamp.json would be %d bytes; clients refuse more than %d", len(data), meta.MaxTimestampSize)
	}
	return append(files, webFile{"timestamp.json", data}), nil
}
