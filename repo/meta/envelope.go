package meta

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"slices"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/internal/wiresig"
)

// Limits of the deployed client (go-tuf v0.5.2), in bytes.
const (
	MaxRootSize      = tuf.MaxRoot
	MaxTimestampSize = tuf.MaxTimestamp
)

// Envelope is a metadata file: the signed part, kept in its canonical bytes, and the
// signatures over it. The signed part never changes.
type Envelope struct {
	signed     []byte
	signatures []tuf.Signature
	// checked remembers which signatures verify: thresholds are looked at many times,
	// and the signed part may be megabytes.
	checked map[check]bool
	// twice are target paths that stood in the file more than once.
	twice []string
}

// check is one verification: a signature (hex) against a public key.
type check struct{ fingerprint, sig string }

// NewEnvelope holds a signed part that nobody has signed yet.
func NewEnvelope(signed []byte) *Envelope { return &Envelope{signed: signed} }

// Signed is the signed part in canonical form.
func (e *Envelope) Signed() []byte { return e.signed }

// Twice are target paths that stood in the file more than once.
func (e *Envelope) Twice() []string { return e.twice }

// ParseEnvelope reads a metadata file.
func ParseEnvelope(data []byte) (*Envelope, error) {
	e, err := tuf.OpenEnvelope(data)
	if err != nil {
		return nil, err
	}
	env := &Envelope{signed: e.Message, signatures: e.Signatures}
	if len(e.Message) < len(e.Signed) {
		// Something was left out: blanks, escapes, or one of two names that are the same.
		env.twice = pathsTwice(e.Signed)
	}
	return env, nil
}

// bytes gives the file: compact, no trailing newline, escaped as encoding/json does it
// (orbit's store re-encodes what it saved, and metadata in another form would then no
// longer match its hash).
func (e *Envelope) bytes() ([]byte, error) {
	return tuf.EncodeEnvelope(escapeStored(e.signed), e.signatures)
}

// Text is the signed part as JSON, to be read. Canonical JSON leaves control characters
// bare, such as the line ends in a PEM public key, which is no JSON (RFC 8259, section 7).
func (e *Envelope) Text() []byte {
	return escapeControls(e.signed)
}

// put adds a signature or replaces the one of the same key ID.
func (e *Envelope) put(keyID tuf.KeyID, sig []byte) {
	s := tuf.Signature{KeyID: keyID, Sig: hex.EncodeToString(sig)}
	for i := range e.signatures {
		if e.signatures[i].KeyID == keyID {
			e.signatures[i] = s
			return
		}
	}
	e.signatures = append(e.signatures, s)
}

func (e *Envelope) has(keyID tuf.KeyID) bool {
	for _, s := range e.signatures {
		if s.KeyID == keyID {
			return true
		}
	}
	return false
}

// Counted gives the keys of the role whose signatures verify, each public key once:
// go-tuf v0.5.2 counts two key IDs of one key twice, go-tuf v2 once, and we follow
// the stricter.
func (e *Envelope) Counted(keys []Key) []Key {
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

func (e *Envelope) signedBy(k Key) bool {
	for _, s := range e.signatures {
		if s.KeyID == k.ID && e.verifies(k, s.Sig) {
			return true
		}
	}
	return false
}

func (e *Envelope) verifies(k Key, sig string) bool {
	if ok, known := e.checked[check{k.Fingerprint(), sig}]; known {
		return ok
	}
	raw, err := hex.DecodeString(sig)
	return err == nil && e.verify(k, raw) == nil
}

// verify checks a signature and remembers the answer.
func (e *Envelope) verify(k Key, sig []byte) error {
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
func (e *Envelope) dropBad(keys []Key) (dropped []tuf.KeyID) {
	var kept []tuf.Signature
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

// pathsTwice lists the target paths that a targets.json has twice, as they are read.
func pathsTwice(signed []byte) []string {
	var body struct {
		Targets json.RawMessage `json:"targets"`
	}
	if json.Unmarshal(signed, &body) != nil {
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(body.Targets))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil
	}
	seen := map[string]bool{}
	var twice []string
	for dec.More() {
		t, err := dec.Token()
		name, ok := t.(string)
		var value json.RawMessage
		if err != nil || !ok || dec.Decode(&value) != nil {
			return twice
		}
		if seen[name] && !slices.Contains(twice, name) {
			twice = append(twice, name)
		}
		seen[name] = true
	}
	return twice
}
