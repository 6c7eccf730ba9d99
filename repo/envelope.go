package repo

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/fleet-hsm/fleet-hsm/internal/canonjson"
	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/internal/wiresig"
)

// Limits of the deployed client (go-tuf v0.5.2, client.go) and, for what it does not
// limit, of what we are willing to read, in bytes.
const (
	MaxRootSize      = 512_000
	MaxTimestampSize = 16_384
	maxSnapshotSize  = 2_000_000
	maxTargetsSize   = 256_000_000
)

func sizeLimit(role string) int64 {
	switch role {
	case RoleRoot:
		return MaxRootSize
	case RoleTimestamp:
		return MaxTimestampSize
	case RoleSnapshot:
		return maxSnapshotSize
	}
	return maxTargetsSize
}

// signature is one entry of "signatures".
type signature struct {
	KeyID tuf.KeyID `json:"keyid"`
	Sig   string    `json:"sig"` // hex
}

// envelope is a metadata file: the signed part, kept in its canonical bytes, and the
// signatures over it. The signed part never changes.
type envelope struct {
	signed     []byte
	signatures []signature
	// checked remembers which signatures verify: thresholds are looked at many times,
	// and the signed part may be megabytes.
	checked map[check]bool
	// twice are target paths that stood in the file more than once.
	twice []string
}

// check is one verification: a signature (hex) against a public key.
type check struct{ fingerprint, sig string }

type envelopeJSON struct {
	Signatures []signature     `json:"signatures"`
	Signed     json.RawMessage `json:"signed"`
}

func parseEnvelope(data []byte) (*envelope, error) {
	j, err := openEnvelope(data)
	if err != nil {
		return nil, fmt.Errorf("not metadata: %w", err)
	}
	for _, s := range j.Signatures {
		if s.KeyID.IsZero() {
			return nil, errors.New("not metadata: a signature has no key ID")
		}
	}
	if len(j.Signed) == 0 || j.Signed[0] != '{' {
		return nil, errors.New(`not metadata: no "signed" object`)
	}
	signed, err := canonjson.Encode(j.Signed)
	if err != nil {
		return nil, fmt.Errorf("no canonical form: %w", err)
	}
	e := &envelope{signed: signed, signatures: j.Signatures}
	if len(signed) < len(j.Signed) {
		// Something was left out: blanks, escapes, or one of two names that are the same.
		e.twice = pathsTwice(j.Signed)
	}
	return e, nil
}

// openEnvelope takes the two parts apart. A file that has just them is not decoded as a
// whole: targets.json may be large.
func openEnvelope(data []byte) (envelopeJSON, error) {
	if parts, ok := canonjson.Split(data); ok && len(parts) == 2 && parts["signed"] != nil && parts["signatures"] != nil {
		j := envelopeJSON{Signed: parts["signed"]}
		return j, json.Unmarshal(parts["signatures"], &j.Signatures)
	}
	var j envelopeJSON
	err := json.Unmarshal(data, &j)
	return j, err
}

// bytes gives the file: compact, no trailing newline, escaped as encoding/json does it
// (orbit's store re-encodes what it saved, and metadata in another form would then no
// longer match its hash).
func (e *envelope) bytes() ([]byte, error) {
	sigs := e.signatures
	if sigs == nil {
		sigs = []signature{}
	}
	s, err := json.Marshal(sigs)
	if err != nil {
		return nil, err
	}
	text := escapeStored(e.signed)
	var b bytes.Buffer
	b.Grow(len(s) + len(text) + 32)
	b.WriteString(`{"signatures":`)
	b.Write(s)
	b.WriteString(`,"signed":`)
	b.Write(text)
	b.WriteByte('}')
	return b.Bytes(), nil
}

// text is the signed part as JSON, to be read. Canonical JSON leaves control characters
// bare, such as the line ends in a PEM public key, which is no JSON (RFC 8259, section 7).
func (e *envelope) text() []byte {
	return escapeControls(e.signed)
}

// put adds a signature or replaces the one of the same key ID.
func (e *envelope) put(keyID tuf.KeyID, sig []byte) {
	s := signature{KeyID: keyID, Sig: hex.EncodeToString(sig)}
	for i := range e.signatures {
		if e.signatures[i].KeyID == keyID {
			e.signatures[i] = s
			return
		}
	}
	e.signatures = append(e.signatures, s)
}

func (e *envelope) has(keyID tuf.KeyID) bool {
	for _, s := range e.signatures {
		if s.KeyID == keyID {
			return true
		}
	}
	return false
}

// counted gives the keys of the role whose signatures verify, each public key once:
// go-tuf v0.5.2 counts two key IDs of one key twice, go-tuf v2 once, and we follow
// the stricter.
func (e *envelope) counted(keys []Key) []Key {
	var good []Key
	seen := map[string]bool{}
	for _, k := range keys {
		fp := k.Fingerprint()
		if seen[fp] || !e.signedBy(k) {
			continue
		}
		seen[fp] = true
		good = append(good, k)
	}
	return good
}

func (e *envelope) signedBy(k Key) bool {
	for _, s := range e.signatures {
		if s.KeyID == k.ID && e.verifies(k, s.Sig) {
			return true
		}
	}
	return false
}

func (e *envelope) verifies(k Key, sig string) bool {
	if ok, known := e.checked[check{k.Fingerprint(), sig}]; known {
		return ok
	}
	raw, err := hex.DecodeString(sig)
	return err == nil && e.verify(k, raw) == nil
}

// verify checks a signature and remembers the answer.
func (e *envelope) verify(k Key, sig []byte) error {
	err := wiresig.Verify(k.Public, e.signed, sig)
	if e.checked == nil {
		e.checked = map[check]bool{}
	}
	e.checked[check{k.Fingerprint(), hex.EncodeToString(sig)}] = err == nil
	return err
}

// dropBad removes signatures that do not verify with a key of keys, or that are of
// none of them, and names their key IDs: go-tuf v0.5.2 gives up at the first
// signature of a known key that is wrong, whatever the others are.
func (e *envelope) dropBad(keys []Key) (dropped []tuf.KeyID) {
	var kept []signature
	seen := map[tuf.KeyID]bool{}
	for _, s := range e.signatures {
		ok := false
		for _, k := range keys {
			ok = ok || k.ID == s.KeyID && e.verifies(k, s.Sig)
		}
		if !ok || seen[s.KeyID] {
			dropped = append(dropped, s.KeyID)
			continue
		}
		seen[s.KeyID] = true
		kept = append(kept, s)
	}
	e.signatures = kept
	return dropped
}
