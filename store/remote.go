package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
)

// remote is what a store publishes, read in the way a client reads it.
type remote struct {
	// missing: the store itself does not exist yet.
	missing bool
	// rootVersion is the highest N.root.json, 0 if there is none; its layout is
	// consistent or flat.
	rootVersion int64
	consistent  bool
	// timestamp is nil where nothing has been published.
	timestamp      *metadata
	timestampBytes []byte
	timestampETag  string
	// worthless: there is a timestamp.json that counts for nothing; timestamp is nil then,
	// and timestampETag that file's.
	worthless bool
	// date is the store's clock, or this machine's where the store has none.
	date time.Time
	// same: timestamp names the very snapshot that is on this machine.
	same bool
	// The rest is read only if not same. Files are nil where they do not fit what
	// names them, as after an interrupted publish in the flat layout.
	snapshot      *metadata
	snapshotBytes []byte
	roles         map[string][]byte
	targets       map[string]tuf.FileMeta
	// copyVersion is the version of the unversioned snapshot.json, 0 if absent.
	copyVersion int64
	copyBytes   []byte
}

func (r *remote) snapshotMeta() tuf.FileMeta {
	if r.timestamp == nil {
		return tuf.FileMeta{}
	}
	return r.timestamp.Meta["snapshot.json"]
}

// readRemote reads the store's metadata, and refuses a store whose roots are ahead of
// this repository or other than its own.
func readRemote(ctx context.Context, s Store, l *local, accepts Accepts) (*remote, error) {
	r := &remote{date: time.Now(), roles: map[string][]byte{}, targets: map[string]tuf.FileMeta{}}
	err := r.readRoots(ctx, s, l)
	if _, canCreate := s.(Creator); canCreate && errors.Is(err, ErrNoStore) {
		r.missing = true
		return r, nil
	}
	if err != nil {
		return nil, err
	}
	if err := r.readTimestamp(ctx, s, l, accepts); err != nil {
		return nil, err
	}
	if r.timestamp != nil {
		m := r.snapshotMeta()
		r.same = r.consistent == l.root.Consistent && m.Version == l.snapshot.Version && len(m.Hashes) > 0 && m.Fits(l.snapshotBytes) == nil
	}
	if r.same {
		return r, nil
	}
	return r, r.readRest(ctx, s)
}

// getIfThere reads a file; an absent one is nil without error.
func getIfThere(ctx context.Context, s Store, name string, limit int64) (*Object, error) {
	o, err := Get(ctx, s, name, limit)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &o, nil
}

func (r *remote) readRoots(ctx context.Context, s Store, l *local) error {
	next, err := getIfThere(ctx, s, versioned(l.root.Version+1, "root.json"), tuf.MaxRoot)
	if err != nil {
		return err
	}
	if next != nil {
		// Some proxies answer every question with the same page.
		if meta, err := parseMetadata(next.Data, roleRoot); err != nil || meta.Version != l.root.Version+1 {
			return &MismatchError{Where: s.String(), Name: next.Name, Why: "it is not a root of that version"}
		}
		return &AheadError{Role: roleRoot, Local: l.root.Version, Remote: l.root.Version + 1}
	}
	for v := l.root.Version; v > 0; v-- {
		name := versioned(v, "root.json")
		o, err := getIfThere(ctx, s, name, tuf.MaxRoot)
		if err != nil {
			return err
		}
		if o == nil {
			continue
		}
		if l.roots[v] {
			mine, err := l.read(name)
			if err != nil {
				return err
			}
			if !bytes.Equal(mine, o.Data) {
				return &DivergedError{Role: roleRoot, Version: v}
			}
		}
		meta, err := parseMetadata(o.Data, roleRoot)
		if err != nil {
			return &MismatchError{Where: s.String(), Name: name, Why: err.Error()}
		}
		r.rootVersion, r.consistent = v, meta.Consistent
		return nil
	}
	return nil
}

func (r *remote) readTimestamp(ctx context.Context, s Store, l *local, accepts Accepts) error {
	o, err := getIfThere(ctx, s, "timestamp.json", tuf.MaxTimestamp)
	if err != nil || o == nil {
		return err
	}
	r.timestampETag = o.ETag
	ts, err := parseMetadata(o.Data, roleTimestamp)
	switch {
	case err == nil && r.counts(ts, o.Data, l, accepts):
		r.timestamp, r.timestampBytes = &ts, o.Data
	case r.rootVersion > 0 && accepts != nil:
		r.worthless = true
	default:
		return &MismatchError{Where: s.String(), Name: "timestamp.json", Why: fmt.Sprint(err)}
	}
	if !o.Date.IsZero() {
		r.date = o.Date.Add(time.Second) // HTTP cuts off the fraction
	}
	return nil
}

// counts reports whether a timestamp says anything about the store: the root here accepts
// it, or the store's own did, as before a rotation of its keys, and agents may remember
// its version while they run. A version that nobody honest reaches is the reason for such
// a rotation.
func (r *remote) counts(ts metadata, data []byte, l *local, accepts Accepts) bool {
	if accepts == nil || r.rootVersion == 0 {
		return true
	}
	if mine, err := l.read(versioned(l.root.Version, "root.json")); err == nil && accepts(mine, roleTimestamp, data) == nil {
		return true
	}
	theirs, err := l.read(versioned(r.rootVersion, "root.json"))
	known := l.snapshot.Version
	if l.timestamp != nil {
		known = max(known, l.timestamp.Version)
	}
	return err == nil && accepts(theirs, roleTimestamp, data) == nil && tuf.CheckVersion(roleTimestamp, known, ts.Version) == nil
}

// readRest reads snapshot and the files it names.
func (r *remote) readRest(ctx context.Context, s Store) error {
	cp, err := getIfThere(ctx, s, "snapshot.json", tuf.MaxSnapshot)
	if err != nil {
		return err
	}
	if cp != nil {
		if meta, err := parseMetadata(cp.Data, roleSnapshot); err == nil {
			r.copyVersion, r.copyBytes = meta.Version, cp.Data
		}
	}
	if r.timestamp == nil {
		return nil
	}
	m := r.snapshotMeta()
	data, err := r.fetch(ctx, s, "snapshot.json", m)
	if err != nil || data == nil {
		return err
	}
	meta, err := parseMetadata(data, roleSnapshot)
	if err != nil || meta.Version != m.Version {
		return nil
	}
	r.snapshot, r.snapshotBytes = &meta, data
	for _, file := range sortedKeys(meta.Meta) {
		if err := r.readRole(ctx, s, file, meta.Meta[file]); err != nil {
			return err
		}
	}
	return nil
}

func (r *remote) readRole(ctx context.Context, s Store, file string, m tuf.FileMeta) error {
	data, err := r.fetch(ctx, s, file, m)
	if err != nil || data == nil {
		return err
	}
	meta, err := parseMetadata(data, roleTargets)
	if err != nil || meta.Version != m.Version {
		return nil
	}
	r.roles[file] = data
	for target, tm := range meta.Targets {
		r.targets[target] = tm
	}
	return nil
}

// fetch reads the file that m names, nil if the store has none that fits.
func (r *remote) fetch(ctx context.Context, s Store, file string, m tuf.FileMeta) ([]byte, error) {
	name := publishedName(r.consistent, file, m.Version)
	if checkName(name) != nil {
		return nil, nil
	}
	o, err := getIfThere(ctx, s, name, maxSize(m))
	if errors.Is(err, ErrTooLarge) {
		return nil, nil
	}
	if err != nil || o == nil || m.Fits(o.Data) != nil {
		return nil, err
	}
	return o.Data, nil
}
