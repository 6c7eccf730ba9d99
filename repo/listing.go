package repo

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

// below is the file that a snapshot or timestamp describes.
func below(role string) string {
	if role == RoleSnapshot {
		return "targets.json"
	}
	return "snapshot.json"
}

// Meta gives the description of the file below.
func (l *Listing) Meta() tuf.FileMeta {
	return fileMeta(l.meta[below(l.role)])
}

func fileMeta(m *metadata.MetaFiles) tuf.FileMeta {
	if m == nil {
		return tuf.FileMeta{} // see loadListing
	}
	hashes := tuf.Hashes{}
	for alg, sum := range m.Hashes {
		hashes[alg] = hex.EncodeToString(sum)
	}
	return tuf.FileMeta{Version: m.Version, Length: m.Length, Hashes: hashes}
}

// matches reports whether a file's bytes are the ones described.
func matches(m tuf.FileMeta, data []byte, version int64) bool {
	return m.Version == version && m.Fits(data) == nil
}

func parseListing(role string, signed []byte) (*Listing, error) {
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
	if l.meta[below(role)] == nil || l.meta[below(role)].Version < 1 {
		return nil, fmt.Errorf("no version of %s in meta", below(role))
	}
	return l, nil
}

// newListing makes the canonical signed part of a snapshot or timestamp over the
// bytes of the file below. What a published snapshot says of others (roles that
// targets delegates to) is kept.
func newListing(role string, version int64, expires time.Time, file metaFile, others map[string]*metadata.MetaFiles) ([]byte, error) {
	if role == RoleTimestamp {
		return tuf.TimestampMessage(version, expires, file.version, file.data)
	}
	meta := map[string]*metadata.MetaFiles{below(role): describe(file)}
	for name, m := range others {
		if name != below(role) {
			meta[name] = m
		}
	}
	return cjson.EncodeCanonical(metadata.SnapshotType{
		Type: role, SpecVersion: specVersion, Version: version, Expires: expires, Meta: meta,
	})
}

// describe is what a snapshot or timestamp says of a file.
func describe(f metaFile) *metadata.MetaFiles {
	sum := sha512.Sum512(f.data)
	return &metadata.MetaFiles{Version: f.version, Length: int64(len(f.data)), Hashes: metadata.Hashes{"sha512": sum[:]}}
}

// metaFile is a metadata file as it will stand on disk.
type metaFile struct {
	version int64
	data    []byte
}
