package tuf

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/cjson"
)

// Who signs a timestamp in a folder and who signs one straight on a store write the same
// bytes for the same content, so that it does not matter who was first: both come here.

// TimestampMessage is the signed part of timestamp.json over the bytes of a snapshot, as
// go-tuf v0.5.2 writes it.
func TimestampMessage(version int64, expires time.Time, snapshot int64, data []byte) ([]byte, error) {
	return cjson.EncodeCanonical(SignedTimestamp{
		Type: "timestamp", SpecVersion: "1.0", Version: version, Expires: expires.UTC().Format(time.RFC3339),
		Meta: map[string]FileMeta{"snapshot.json": {Version: snapshot, Length: int64(len(data)), Hashes: Hashes{"sha512": HashesOf(data)["sha512"]}}},
	})
}

// SignedTimestamp is the signed part of timestamp.json.
type SignedTimestamp struct {
	Type        string              `json:"_type"`
	Expires     string              `json:"expires"`
	Meta        map[string]FileMeta `json:"meta"`
	SpecVersion string              `json:"spec_version"`
	Version     int64               `json:"version"`
}

// NewExpiry is when metadata expires that is made now. Where that is before what is
// published, by no more than slack, it is when the published one does (zero for none): then
// clocks differ a little, or another tool has rounded. ok is false where it is more.
func NewExpiry(now time.Time, validity time.Duration, published time.Time, slack time.Duration) (t time.Time, ok bool) {
	t = now.Add(validity).UTC().Truncate(time.Second)
	published = published.UTC().Truncate(time.Second)
	if !t.Before(published) {
		return t, true
	}
	if published.Sub(t) <= slack {
		return published, true
	}
	return t, false
}

// EncodeEnvelope writes a metadata file: the signatures, and the signed part as it is stored.
func EncodeEnvelope(signed []byte, signatures []Signature) ([]byte, error) {
	if signatures == nil {
		signatures = []Signature{}
	}
	s, err := json.Marshal(signatures)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.Grow(len(s) + len(signed) + 32)
	b.WriteString(`{"signatures":`)
	b.Write(s)
	b.WriteString(`,"signed":`)
	b.Write(signed)
	b.WriteByte('}')
	return b.Bytes(), nil
}
