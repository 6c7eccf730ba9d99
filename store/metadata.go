package store

import (
	"encoding/json"
	"fmt"
	"path"
	"sort"
	"strconv"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
)

// Accepts says why the keys that a root.json names for a role do not accept a file, nil if
// they do.
type Accepts func(root []byte, role string, data []byte) error

// role names that the order of publishing knows.
const (
	roleRoot      = tuf.Root
	roleTargets   = tuf.Targets
	roleSnapshot  = tuf.Snapshot
	roleTimestamp = tuf.Timestamp
)

// metadata is what publishing needs to know of a role's file. Signatures are the
// business of the caller's verification.
type metadata struct {
	tuf.Header
	Consistent bool                    `json:"consistent_snapshot"`
	Meta       map[string]tuf.FileMeta `json:"meta"`
	Targets    map[string]tuf.FileMeta `json:"targets"`
}

// parseMetadata reads a file of the given role; a delegated role's type is "targets".
func parseMetadata(data []byte, role string) (metadata, error) {
	env, err := tuf.OpenEnvelope(data)
	if err != nil {
		return metadata{}, err
	}
	if role == roleRoot {
		root, err := tuf.ParseRoot(env.Signed)
		if err != nil {
			return metadata{}, inconsistent(err)
		}
		return metadata{Header: root.Header, Consistent: root.Consistent}, nil
	}
	var m metadata
	if err := json.Unmarshal(env.Signed, &m); err != nil {
		return metadata{}, fmt.Errorf("not metadata: %w", err)
	}
	if role != roleSnapshot && role != roleTimestamp {
		role = roleTargets
	}
	return m, inconsistent(m.Check(role))
}

// inconsistent marks why a file is not the one that belongs there.
func inconsistent(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", err, ErrInconsistent)
}

// maxSize is how much of the file is worth reading.
func maxSize(m tuf.FileMeta) int64 {
	if m.Length > 0 && m.Length < tuf.MaxTargets {
		return m.Length
	}
	return tuf.MaxTargets
}

// versioned gives "7.targets.json" for 7 and "targets.json".
func versioned(version int64, file string) string {
	return strconv.FormatInt(version, 10) + "." + file
}

// publishedName is the name under which clients ask for a role's file.
func publishedName(consistent bool, file string, version int64) string {
	if consistent {
		return versioned(version, file)
	}
	return file
}

// targetNames are the names under which clients may ask for a target: one in the
// flat layout, one for each hash with consistent snapshots, SHA-512 first.
func targetNames(consistent bool, target string, m tuf.FileMeta) []string {
	if !consistent {
		return []string{"targets/" + target}
	}
	var names []string
	for _, alg := range []string{"sha512", "sha256"} {
		if h := m.Hashes[alg]; h != "" {
			names = append(names, path.Join("targets", path.Dir(target), h+"."+path.Base(target)))
		}
	}
	return names
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
