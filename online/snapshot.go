package online

import (
	"context"
	"errors"
	"strconv"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
)

// maxAhead bounds how many unpublished snapshots in a row are looked at.
const maxAhead = 100

// findSnapshot finds the snapshot to sign for: the highest that verifies and whose
// targets do. ts is what is published, nil for nothing.
func (s *Service) findSnapshot(ctx context.Context, ts *published) (*snapshot, error) {
	base, err := s.baseSnapshot(ctx, ts)
	if err != nil && !errors.Is(err, ErrUnverified) && !errors.Is(err, ErrExpired) {
		return nil, err
	}
	// What only retired keys have signed says nothing about how far versions go.
	above := int64(0)
	switch {
	case ts != nil && !ts.old:
		above = ts.Meta["snapshot.json"].Version
	case base != nil:
		above = base.Version
	}
	newer, nerr := s.newerSnapshots(ctx, above)
	if nerr != nil {
		return nil, nerr
	}
	for i := len(newer) - 1; i >= 0; i-- {
		cerr := s.acceptNewer(ctx, base, newer[i])
		if cerr == nil {
			return newer[i], nil
		}
		if errors.Is(cerr, ErrStore) {
			return nil, cerr
		}
		s.log.Warn("a newer snapshot is not good and is left alone", "version", newer[i].Version, "error", cerr)
		s.cfg.Metrics.rejected()
		err = errors.Join(err, cerr)
	}
	if base != nil {
		return base, s.allowed(base)
	}
	if err == nil {
		err = &UnverifiedError{Role: roleSnapshot, Name: "snapshot.json", Err: errors.New("there is none")}
	}
	return nil, err
}

// allowed says why a snapshot whose targets are checked must not be signed for again.
func (s *Service) allowed(snap *snapshot) error { return s.mem.allowsSnapshot(snap) }

// baseSnapshot is the one that the published timestamp names.
func (s *Service) baseSnapshot(ctx context.Context, ts *published) (*snapshot, error) {
	if ts == nil {
		return nil, nil
	}
	m, ok := ts.Meta["snapshot.json"]
	if !ok {
		return nil, &UnverifiedError{Role: roleTimestamp, Name: "timestamp.json", Err: errors.New("it names no snapshot")}
	}
	snap := s.snap
	known := snap != nil && snap.Version == m.Version && len(m.Hashes) > 0 && m.Fits(snap.data) == nil
	if !known || !s.root().Consistent {
		// In the flat layout it is read each time: it may have been overwritten.
		name := s.snapshotName(m.Version)
		data, err := s.readSnapshot(ctx, name)
		if err != nil {
			return nil, err
		}
		if snap, err = s.parseSnapshot(name, data, &m); err != nil {
			return nil, err
		}
	} else if s.snapRoot != s.root().Version {
		if err := s.root().roles[roleSnapshot].verify(snap.file); err != nil {
			return nil, &UnverifiedError{Role: roleSnapshot, Name: s.snapshotName(m.Version), Err: err}
		}
	}
	if err := s.checkTargets(ctx, snap); err != nil {
		return nil, err
	}
	return snap, nil
}

// readSnapshot reads a snapshot; the unversioned one only once in a check.
func (s *Service) readSnapshot(ctx context.Context, name string) ([]byte, error) {
	if name == "snapshot.json" && s.copy != nil {
		return *s.copy, nil
	}
	data, _, _, err := s.get(ctx, name, tuf.MaxSnapshot)
	if err == nil && name == "snapshot.json" {
		s.copy = &data
	}
	return data, err
}

func (s *Service) snapshotName(version int64) string {
	if s.root().Consistent {
		return versioned(version, "snapshot.json")
	}
	return "snapshot.json"
}

// parseSnapshot verifies a snapshot; m, if not nil, is what the timestamp says of it.
func (s *Service) parseSnapshot(name string, data []byte, m *tuf.FileMeta) (*snapshot, error) {
	bad := func(err error) (*snapshot, error) {
		return nil, &UnverifiedError{Role: roleSnapshot, Name: name, Err: err}
	}
	if data == nil {
		return bad(errors.New("it is absent"))
	}
	if m != nil {
		if err := m.Fits(data); err != nil {
			return bad(err)
		}
	}
	f, err := parse(data, roleSnapshot)
	if err != nil {
		return bad(err)
	}
	if m != nil && f.Version != m.Version {
		return bad(errors.New("its version is " + strconv.FormatInt(f.Version, 10)))
	}
	if err := s.root().roles[roleSnapshot].verify(f); err != nil {
		return bad(err)
	}
	targets, ok := f.Meta["targets.json"]
	if !ok {
		return bad(errors.New("it names no targets.json"))
	}
	return &snapshot{file: f, targets: targets}, nil
}

// newerSnapshots lists snapshots above a version, the published one's, whose signatures verify,
// lowest first. With consistent snapshots it asks for the next version, or looks at
// the unversioned copy, which shows versions that were skipped; the first time both.
func (s *Service) newerSnapshots(ctx context.Context, above int64) ([]*snapshot, error) {
	if !s.root().Consistent {
		return s.newerCopy(ctx, above)
	}
	first := s.snap == nil
	s.askNext = !s.askNext
	if (s.askNext || first) && above > 0 {
		chain, err := s.nextVersions(ctx, above)
		if err != nil || len(chain) > 0 {
			return chain, err
		}
	}
	if !s.askNext || first || above == 0 {
		return s.newerCopy(ctx, above)
	}
	return nil, nil
}

// nextVersions reads above+1, above+2, ... until one is absent.
func (s *Service) nextVersions(ctx context.Context, above int64) ([]*snapshot, error) {
	var found []*snapshot
	for v := above + 1; v <= above+maxAhead; v++ {
		name := versioned(v, "snapshot.json")
		data, _, _, err := s.get(ctx, name, tuf.MaxSnapshot)
		if err != nil {
			return nil, err
		}
		if data == nil {
			break
		}
		snap, err := s.parseSnapshot(name, data, &tuf.FileMeta{Version: v})
		if err != nil {
			s.log.Warn("a newer snapshot does not verify and is left alone", "file", name, "error", err)
			s.cfg.Metrics.rejected()
			continue
		}
		found = append(found, snap)
	}
	return found, nil
}

// newerCopy looks at the unversioned snapshot.json. With consistent snapshots it only
// tells which version to read.
func (s *Service) newerCopy(ctx context.Context, above int64) ([]*snapshot, error) {
	data, err := s.readSnapshot(ctx, "snapshot.json")
	if err != nil || data == nil {
		return nil, err
	}
	f, err := parse(data, roleSnapshot)
	if err != nil || f.Version <= above {
		return nil, nil // nobody asks for it; the published one is checked by itself
	}
	if s.root().Consistent {
		return s.nextVersions(ctx, f.Version-1)
	}
	snap, err := s.parseSnapshot("snapshot.json", data, nil)
	if err != nil {
		s.log.Warn("a newer snapshot does not verify and is left alone", "file", "snapshot.json", "error", err)
		s.cfg.Metrics.rejected()
		return nil, nil
	}
	return []*snapshot{snap}, nil
}

// acceptNewer checks a snapshot that is to take over from base.
func (s *Service) acceptNewer(ctx context.Context, base, next *snapshot) error {
	if base == nil || s.snap != nil && s.snap.Version > base.Version {
		base = s.snap // what was in force before it stopped to verify
	}
	if base != nil && next.Version < base.Version {
		return &RollbackError{Role: roleSnapshot, Have: base.Version, Got: next.Version}
	}
	if base != nil && next.targets.Version < base.targets.Version {
		return &RollbackError{Role: roleTargets, Have: base.targets.Version, Got: next.targets.Version}
	}
	if base != nil {
		for name, m := range base.Meta {
			if got, ok := next.Meta[name]; !ok || got.Version < m.Version {
				return &RollbackError{Role: name, Have: m.Version, Got: got.Version}
			}
		}
	}
	if err := s.checkTargets(ctx, next); err != nil {
		return err
	}
	return s.allowed(next)
}

// checkTargets checks expiry of a verified snapshot and, once for each hash, the
// targets.json that it names.
func (s *Service) checkTargets(ctx context.Context, snap *snapshot) error {
	if !s.now().Before(snap.Expires) {
		return &ExpiredError{Role: roleSnapshot, Version: snap.Version, Expires: snap.Expires}
	}
	t, err := s.targets(ctx, snap.targets)
	if err != nil {
		return err
	}
	snap.listed = t
	if !s.now().Before(t.expires) {
		return &ExpiredError{Role: roleTargets, Version: t.version, Expires: t.expires}
	}
	return nil
}

// targets reads and verifies a targets.json, unless one of that hash has been
// verified under the same keys.
func (s *Service) targets(ctx context.Context, m tuf.FileMeta) (targetsFile, error) {
	role := s.root().roles[roleTargets]
	key := strconv.FormatInt(m.Version, 10) + " " + m.Hashes["sha512"] + " " + m.Hashes["sha256"] + " " + role.print
	if t, ok := s.goodTargets[key]; ok && len(m.Hashes) > 0 {
		return t, nil
	}
	name := "targets.json"
	if s.root().Consistent {
		name = versioned(m.Version, name)
	}
	limit := s.cfg.MaxTargets
	if m.Length > 0 {
		limit = min(limit, m.Length)
	}
	data, _, _, err := s.get(ctx, name, limit)
	if err != nil {
		return targetsFile{}, err
	}
	s.bulky = s.bulky || len(data) > bulk
	t, err := verifyTargets(data, m, role)
	if err != nil {
		return targetsFile{}, &UnverifiedError{Role: roleTargets, Name: name, Err: err}
	}
	// Only what is in force and what waits is worth remembering.
	if len(s.goodTargets) >= 4 {
		clear(s.goodTargets)
	}
	s.goodTargets[key] = t
	return t, nil
}

// bulk is from which size on a targets.json leaves so much behind that memory is
// given back at once rather than when the next one is read, weeks later; bytes.
const bulk = 1 << 20

func verifyTargets(data []byte, m tuf.FileMeta, role roleKeys) (targetsFile, error) {
	if data == nil {
		return targetsFile{}, errors.New("it is absent")
	}
	if err := m.Fits(data); err != nil {
		return targetsFile{}, err
	}
	f, err := parse(data, roleTargets)
	if err != nil {
		return targetsFile{}, err
	}
	if f.Version != m.Version {
		return targetsFile{}, errors.New("its version is " + strconv.FormatInt(f.Version, 10))
	}
	if err := role.verify(f); err != nil {
		return targetsFile{}, err
	}
	return targetsFile{version: f.Version, expires: f.Expires, sum: sumOf(data)}, nil
}
