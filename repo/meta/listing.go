package meta

import (
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/cjson"
	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
)

// Listing is a parsed snapshot or timestamp: both are a version, an expiry and the
// description of the file below.
type Listing struct {
	role    string
	version int64
	expires time.Time
	meta    map[string]*metadata.MetaFiles
}

// Version is the number of this file.
func (l *Listing) Version() int64 { return l.version }

// Expires is when clients begin to refuse it.
func (l *Listing) Expires() time.Time { return l.expires }

// Below is the file that a snapshot or timestamp describes.
func Below(role string) string {
	if role == RoleSnapshot {
		return "targets.json"
	}
	return "snapshot.json"
}

// Meta gives the description of the file below.
func (l *Listing) Meta() tuf.FileMeta {
	return FileMeta(l.meta[Below(l.role)])
}

// Files gives what it says of each file.
func (l *Listing) Files() map[string]*metadata.MetaFiles { return l.meta }

// NoListing stands for one that cannot be used.
func NoListing(role string) *Listing { return &Listing{role: role} }

// FileMeta is a description without the library's types.
func FileMeta(m *metadata.MetaFiles) tuf.FileMeta {
	if m == nil {
		return tuf.FileMeta{} // see NoListing
	}
	hashes := tuf.Hashes{}
	for alg, sum := range m.Hashes {
		hashes[alg] = hex.EncodeToString(sum)
	}
	return tuf.FileMeta{Version: m.Version, Length: m.Length, Hashes: hashes}
}

// Matches reports whether a file's bytes are the ones described.
func Matches(m tuf.FileMeta, data []byte, version int64) bool {
	return m.Version == version && m.Fits(data) == nil
}

// ParseListing reads the signed part of a snapshot or a timestamp.
func ParseListing(role string, signed []byte) (*Listing, error) {
	l := &Listing{role: role}
	var head tuf.Header
	if role == RoleSnapshot {
		var s metadata.SnapshotType
		if err := json.Unmarshal(signed, &s); err != nil {
			return nil, err
		}
		head, l.meta = tuf.Header{Type: s.Type, Version: s.Version, Expires: s.Expires}, s.Meta
	} else {
		var s metadata.TimestampType
		if err := json.Unmarshal(signed, &s); err != nil {
			return nil, err
		}
		head, l.meta = tuf.Header{Type: s.Type, Version: s.Version, Expires: s.Expires}, s.Meta
	}
	if err := head.Check(role); err != nil {
		return nil, err
	}
	l.version, l.expires = head.Version, head.Expires
	if l.meta[Below(role)] == nil || l.meta[Below(role)].Version < 1 {
		return nil, fmt.Errorf("no version of %s in meta", Below(role))
	}
	return l, nil
}

// NewListing makes the canonical signed part of a snapshot or timestamp over the
// bytes of the file below. What a published snapshot says of others (roles that
// targets delegates to) is kept.
func NewListing(role string, version int64, expires time.Time, file File, others map[string]*metadata.MetaFiles) ([]byte, error) {
	if role == RoleTimestamp {
		return tuf.TimestampMessage(version, expires, file.Version, file.Data)
	}
	meta := map[string]*metadata.MetaFiles{Below(role): Describe(file)}
	for name, m := range others {
		if name != Below(role) {
			meta[name] = m
		}
	}
	return cjson.EncodeCanonical(metadata.SnapshotType{
		Type: role, SpecVersion: specVersion, Version: version, Expires: expires, Meta: meta,
	})
}

// Describe is what a snapshot or timestamp says of a file.
func Describe(f File) *metadata.MetaFiles {
	sum := sha512.Sum512(f.Data)
	return &metadata.MetaFiles{Version: f.Version, Length: int64(len(f.Data)), Hashes: metadata.Hashes{"sha512": sum[:]}}
}

// File is a metadata file as it will stand on disk.
type File struct {
	Version int64
	Data    []byte
}
