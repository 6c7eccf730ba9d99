package store

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"sort"
	"strconv"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
)

// Limits in bytes on what is read from a store. A client stops at 512,000 for root
// and 16,384 for timestamp (go-tuf v0.5.2); more than that is nothing to build on.
const (
	limitRoot      = 512000
	limitTimestamp = 16384
	// The others are for files whose length nobody has said.
	limitSnapshot = 16 << 20
	limitOther    = 256 << 20
)

// Accepts says why the keys that a root.json names for a role do not accept a file, nil if
// they do.
type Accepts func(root []byte, role string, data []byte) error

// role names that the order of publishing knows.
const (
	roleRoot      = "root"
	roleTargets   = "targets"
	roleSnapshot  = "snapshot"
	roleTimestamp = "timestamp"
)

// fileMeta is how metadata names a file (TUF spec 4.4, 4.5).
type fileMeta struct {
	Version int64             `json:"version"`
	Length  int64             `json:"length"`
	Hashes  map[string]string `json:"hashes"`
}

// metadata is what publishing needs to know of a role's file. Signatures are the
// business of the caller's verification.
type metadata struct {
	Type       string              `json:"_type"`
	Version    int64               `json:"version"`
	Consistent bool                `json:"consistent_snapshot"`
	Meta       map[string]fileMeta `json:"meta"`
	Targets    map[string]fileMeta `json:"targets"`
	// Keys and Roles are read for their key IDs alone: a file with anything else there
	// is none.
	Keys  map[tuf.KeyID]struct{} `json:"keys"`
	Roles map[string]struct {
		KeyIDs []tuf.KeyID `json:"keyids"`
	} `json:"roles"`
}

// signature is read for its key ID alone.
type signature struct {
	KeyID tuf.KeyID `json:"keyid"`
}

// parseMetadata reads a file of the given role; a delegated role's type is "targets".
func parseMetadata(data []byte, role string) (metadata, error) {
	var env struct {
		Signed     metadata    `json:"signed"`
		Signatures []signature `json:"signatures"`
	}
	if err := json.Unmarshal(data, &env); err != nil {
		return metadata{}, fmt.Errorf("not TUF metadata: %w", err)
	}
	for _, s := range env.Signatures {
		if s.KeyID.IsZero() {
			return metadata{}, errors.New("not TUF metadata: a signature has no key ID")
		}
	}
	want := role
	if role != roleRoot && role != roleSnapshot && role != roleTimestamp {
		want = roleTargets
	}
	if env.Signed.Type != want {
		return metadata{}, fmt.Errorf("its type is %q, not %q: %w", env.Signed.Type, want, ErrInconsistent)
	}
	if env.Signed.Version < 1 {
		return metadata{}, fmt.Errorf("its version is %d: %w", env.Signed.Version, ErrInconsistent)
	}
	return env.Signed, nil
}

// fits says why data is not the file that m names, or "".
func (m fileMeta) fits(data []byte) string {
	if m.Length > 0 && int64(len(data)) != m.Length {
		return fmt.Sprintf("%d bytes long, not %d", len(data), m.Length)
	}
	if want, ok := m.Hashes["sha512"]; ok {
		if sum := sha512.Sum512(data); hex.EncodeToString(sum[:]) != want {
			return "its SHA-512 is another"
		}
	}
	if want, ok := m.Hashes["sha256"]; ok {
		if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != want {
			return "its SHA-256 is another"
		}
	}
	return ""
}

// sameFile reports whether two entries name the same content.
func (m fileMeta) sameFile(o fileMeta) bool {
	if m.Length != o.Length {
		return false
	}
	for _, alg := range []string{"sha512", "sha256"} {
		a, b := m.Hashes[alg], o.Hashes[alg]
		if a != "" && b != "" {
			return a == b
		}
	}
	return false
}

// hashesOf gives the two hashes that metadata may use.
func hashesOf(data []byte) map[string]string {
	a, b := sha512.Sum512(data), sha256.Sum256(data)
	return map[string]string{"sha512": hex.EncodeToString(a[:]), "sha256": hex.EncodeToString(b[:])}
}

// limit is how much of the file is worth reading.
func (m fileMeta) limit() int64 {
	if m.Length > 0 && m.Length < limitOther {
		return m.Length
	}
	return limitOther
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
func targetNames(consistent bool, target string, m fileMeta) []string {
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
