package repo

import (
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/cjson"
	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// Meta is what snapshot says of targets.json, or timestamp of snapshot.json.
type Meta struct {
	Version int64
	Length  int64  // 0 if not stated
	SHA512  string // hex, "" if not stated
}

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

// below is the file that a snapshot or timestamp describes.
func below(role string) string {
	if role == RoleSnapshot {
		return "targets.json"
	}
	return "snapshot.json"
}

// Meta gives the description of the file below.
func (l *Listing) Meta() Meta {
	m := l.meta[below(l.role)]
	if m == nil {
		return Meta{} // see loadListing
	}
	return Meta{Version: m.Version, Length: m.Length, SHA512: hex.EncodeToString(m.Hashes["sha512"])}
}

// matches reports whether a file's bytes are the ones described.
func (m Meta) matches(data []byte, version int64) bool {
	if m.Version != version || m.Length != 0 && m.Length != int64(len(data)) {
		return false
	}
	sum := sha512.Sum512(data)
	return m.SHA512 == "" || m.SHA512 == hex.EncodeToString(sum[:])
}

func parseListing(role string, signed []byte) (*Listing, error) {
	l := &Listing{role: role}
	typ := ""
	if role == RoleSnapshot {
		var s metadata.SnapshotType
		if err := json.Unmarshal(signed, &s); err != nil {
			return nil, err
		}
		typ, l.version, l.expires, l.meta = s.Type, s.Version, s.Expires, s.Meta
	} else {
		var s metadata.TimestampType
		if err := json.Unmarshal(signed, &s); err != nil {
			return nil, err
		}
		typ, l.version, l.expires, l.meta = s.Type, s.Version, s.Expires, s.Meta
	}
	if typ != role {
		return nil, fmt.Errorf("_type is %q, not %s", typ, role)
	}
	if l.version < 1 || l.expires.IsZero() {
		return nil, fmt.Errorf("version %d, expires %s: one of them is missing", l.version, l.expires)
	}
	if l.meta[below(role)] == nil || l.meta[below(role)].Version < 1 {
		return nil, fmt.Errorf("no version of %s in meta", below(role))
	}
	return l, nil
}

// newListing makes the canonical signed part of a snapshot or timestamp over the
// bytes of the file below. What a published snapshot says of others (roles that
// targets delegates to) is kept.
func newListing(role string, version int64, expires time.Time, file metaFile, others map[string]*metadata.MetaFiles) ([]byte, error) {
	sum := sha512.Sum512(file.data)
	meta := map[string]*metadata.MetaFiles{below(role): {
		Version: file.version, Length: int64(len(file.data)), Hashes: metadata.Hashes{"sha512": sum[:]},
	}}
	for name, m := range others {
		if name != below(role) {
			meta[name] = m
		}
	}
	if role == RoleSnapshot {
		return cjson.EncodeCanonical(metadata.SnapshotType{
			Type: role, SpecVersion: specVersion, Version: version, Expires: expires, Meta: meta,
		})
	}
	return cjson.EncodeCanonical(metadata.TimestampType{
		Type: role, SpecVersion: specVersion, Version: version, Expires: expires, Meta: meta,
	})
}

// metaFile is a metadata file as it will stand on disk.
type metaFile struct {
	version int64
	data    []byte
}
