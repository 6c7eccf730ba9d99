package store

import (
	"crypto/sha512"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/internal/webroot"
)

// local is repository/ on this machine, as far as publishing needs it. All metadata
// in it fits together: every file is the one that the file above it names.
type local struct {
	dir       string
	root      metadata
	rootBytes []byte
	// roots are the versions of the N.root.json at hand.
	roots map[int64]bool
	// timestamp is nil where it is left to others.
	timestamp      *metadata
	timestampBytes []byte
	snapshot       metadata
	snapshotBytes  []byte
	// roles maps the files that snapshot names ("targets.json") to their bytes.
	roles map[string][]byte
	// versions maps the same names to versions.
	versions map[string]int64
	targets  map[string]tuf.FileMeta
}

func (l *local) path(name string) string { return filepath.Join(l.dir, filepath.FromSlash(name)) }

func (l *local) bad(name, by, why string) error {
	return &MismatchError{Where: l.dir, Name: name, By: by, Why: why}
}

// read reads a metadata file; an absent one keeps fs.ErrNotExist.
func (l *local) read(name string) ([]byte, error) {
	return webroot.ReadFile(l.dir, name)
}

// readLocal reads the repository and checks that it fits together.
func readLocal(dir string, withoutTimestamp bool) (*local, error) {
	l := &local{dir: dir, roles: map[string][]byte{}, versions: map[string]int64{}, targets: map[string]tuf.FileMeta{}}
	if err := l.readRoots(); err != nil {
		return nil, err
	}
	if !withoutTimestamp {
		if err := l.readTimestamp(); err != nil {
			return nil, err
		}
	}
	if err := l.readSnapshot(); err != nil {
		return nil, err
	}
	for _, file := range sortedKeys(l.snapshot.Meta) {
		if err := l.readRole(file, l.snapshot.Meta[file]); err != nil {
			return nil, err
		}
	}
	return l, nil
}

func (l *local) readRoots() error {
	data, err := l.read("root.json")
	if err != nil {
		return err
	}
	if l.root, err = parseMetadata(data, roleRoot); err != nil {
		return l.bad("root.json", "", err.Error())
	}
	l.rootBytes = data
	l.roots = map[int64]bool{}
	entries, err := os.ReadDir(l.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		n, ok := strings.CutSuffix(e.Name(), ".root.json")
		v, err := strconv.ParseInt(n, 10, 64)
		if ok && err == nil && v > 0 && versioned(v, "root.json") == e.Name() {
			l.roots[v] = true
		}
	}
	name := versioned(l.root.Version, "root.json")
	same, err := l.read(name)
	if err != nil {
		return err
	}
	if string(same) != string(data) {
		return l.bad(name, "", "it differs from root.json")
	}
	return nil
}

func (l *local) readTimestamp() error {
	data, err := l.read("timestamp.json")
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%q has no timestamp.json: %w", l.dir, ErrUncovered)
	}
	if err != nil {
		return err
	}
	ts, err := parseMetadata(data, roleTimestamp)
	if err != nil {
		return l.bad("timestamp.json", "", err.Error())
	}
	l.timestamp, l.timestampBytes = &ts, data
	return nil
}

// readSnapshot reads the snapshot that timestamp names or, without a timestamp, the
// newest.
func (l *local) readSnapshot() error {
	name, by := "snapshot.json", ""
	if l.timestamp != nil {
		by = "timestamp.json"
	}
	data, err := l.read(name)
	if err != nil {
		return err
	}
	if l.snapshot, err = parseMetadata(data, roleSnapshot); err != nil {
		return l.bad(name, by, err.Error())
	}
	l.snapshotBytes = data
	if l.timestamp != nil {
		m := l.timestamp.Meta["snapshot.json"]
		if m.Version < l.snapshot.Version {
			return fmt.Errorf("snapshot is version %d and timestamp names %d: %w", l.snapshot.Version, m.Version, ErrUncovered)
		}
		if err := m.Fits(data); err != nil {
			return l.bad(name, by, err.Error())
		}
		if m.Version != l.snapshot.Version {
			return l.bad(name, by, "its version is "+strconv.FormatInt(l.snapshot.Version, 10))
		}
	}
	return l.sameCopy("snapshot.json", l.snapshot.Version, data)
}

// readRole reads targets.json or a delegated role's file.
func (l *local) readRole(file string, m tuf.FileMeta) error {
	role, ok := strings.CutSuffix(file, ".json")
	if !ok || strings.Contains(role, "/") || checkName(file) != nil {
		return l.bad("snapshot.json", "", "it names "+strconv.Quote(file))
	}
	data, err := l.read(file)
	if err != nil {
		return err
	}
	meta, err := parseMetadata(data, role)
	if err != nil {
		return l.bad(file, "snapshot.json", err.Error())
	}
	if err := m.Fits(data); err != nil {
		return l.bad(file, "snapshot.json", err.Error())
	}
	if m.Version != meta.Version {
		return l.bad(file, "snapshot.json", "its version is "+strconv.FormatInt(meta.Version, 10))
	}
	for target, tm := range meta.Targets {
		if checkName("targets/"+target) != nil || len(targetNames(l.root.Consistent, target, tm)) == 0 {
			return l.bad(file, "", "it names the target "+strconv.Quote(target)+" in a way that cannot be published")
		}
		l.targets[target] = tm
	}
	l.roles[file], l.versions[file] = data, meta.Version
	return l.sameCopy(file, meta.Version, data)
}

// sameCopy checks that the versioned copy of a file, if consistent snapshots have
// one, is the same.
func (l *local) sameCopy(file string, version int64, data []byte) error {
	if !l.root.Consistent {
		return nil
	}
	name := versioned(version, file)
	other, err := l.read(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it is published from the unversioned copy
	}
	if err == nil && string(other) != string(data) {
		err = l.bad(name, "", "it differs from "+file)
	}
	return err
}

// content finds the file of a target, under each name that clients may ask for and
// that is here; if none is here the first name is given with a nil Open.
func (l *local) content(target string, m tuf.FileMeta) (map[string]Content, error) {
	names := targetNames(l.root.Consistent, target, m)
	found := map[string]Content{}
	for _, name := range names {
		st, err := webroot.Stat(l.dir, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if st.Size() != m.Length {
			return nil, l.bad(name, "targets.json", strconv.FormatInt(st.Size(), 10)+" bytes long, not "+strconv.FormatInt(m.Length, 10))
		}
		c := Content{Size: m.Length, SHA512: m.Hashes["sha512"], Open: l.opener(name)}
		if c.SHA512 == "" {
			if c.SHA512, err = digest(sha512.New(), c.Open); err != nil {
				return nil, err
			}
		}
		found[name] = c
	}
	if len(found) == 0 {
		found[names[0]] = Content{Size: m.Length, SHA512: m.Hashes["sha512"]}
	}
	return found, nil
}

func (l *local) opener(name string) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return webroot.Open(l.dir, name) }
}
