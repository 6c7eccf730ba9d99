package tuf

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/fleet-hsm/fleet-hsm/internal/canonjson"
)

// Signature is one entry of "signatures".
type Signature struct {
	KeyID KeyID  `json:"keyid"`
	Sig   string `json:"sig"` // hex
}

// Envelope is a metadata file taken apart. Nothing is verified yet.
type Envelope struct {
	// Signed is the signed part as it stands in the file; Message its canonical form,
	// which is what signatures cover.
	Signed, Message []byte
	Signatures      []Signature
}

// OpenEnvelope takes a metadata file apart. The parts may share its bytes.
func OpenEnvelope(data []byte) (Envelope, error) {
	e, err := split(data)
	if err != nil {
		return Envelope{}, fmt.Errorf("not metadata: %w", err)
	}
	for _, s := range e.Signatures {
		if s.KeyID.IsZero() {
			return Envelope{}, errors.New("not metadata: a signature has no key ID")
		}
	}
	if len(e.Signed) == 0 || e.Signed[0] != '{' {
		return Envelope{}, errors.New(`not metadata: no "signed" object`)
	}
	if e.Message, err = canonjson.Encode(e.Signed); err != nil {
		return Envelope{}, fmt.Errorf("no canonical form: %w", err)
	}
	return e, nil
}

// split does not decode a file that has just the two parts: targets.json may be large.
func split(data []byte) (e Envelope, err error) {
	if parts, ok := canonjson.Split(data); ok && len(parts) == 2 && parts["signed"] != nil && parts["signatures"] != nil {
		e.Signed = parts["signed"]
		return e, json.Unmarshal(parts["signatures"], &e.Signatures)
	}
	var j struct {
		Signed     json.RawMessage `json:"signed"`
		Signatures []Signature     `json:"signatures"`
	}
	err = json.Unmarshal(data, &j)
	return Envelope{Signed: j.Signed, Signatures: j.Signatures}, err
}

// Header is what the signed part of every role begins with.
type Header struct {
	Type    string    `json:"_type"`
	Version int64     `json:"version"`
	Expires time.Time `json:"expires"`
}

// TypeError: a file is of another role than the one that it was read as.
type TypeError struct{ Got, Want string }

func (e *TypeError) Error() string { return fmt.Sprintf("_type is %q, not %s", e.Got, e.Want) }

// Check refuses a header of another role, and one without a version or an expiry. What a
// targets role delegates to is of the type "targets" too. Errors: *TypeError.
func (h Header) Check(role string) error {
	if h.Type != role {
		return &TypeError{h.Type, role}
	}
	if h.Version < 1 || h.Expires.IsZero() {
		return fmt.Errorf("version %d, expires %s: one of them is missing", h.Version, h.Expires)
	}
	return nil
}
