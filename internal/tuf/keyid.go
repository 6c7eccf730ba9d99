package tuf

import (
	"encoding/json"
	"fmt"
	"strings"
)

// keyIDLength is the number of digits of a SHA-256, hex.
const keyIDLength = 64

// shortLength is how many digits tell keys apart on a screen.
const shortLength = 16

// KeyID is what root calls a key: 64 lower-case hexadecimal digits. It can be compared,
// and be a key of a map. The zero KeyID is none: only a field that is absent leaves it.
type KeyID struct{ digits string }

// KeyIDError: a document has something else where a key ID belongs.
type KeyIDError struct{ Value string }

func (e *KeyIDError) Error() string {
	const most = 40
	s := e.Value
	if len(s) > most {
		s = s[:most]
	}
	// %+q writes ASCII only, whatever stands in the document.
	return fmt.Sprintf("%+q is not a key ID: that is %d hexadecimal digits, in lower case", s, keyIDLength)
}

// ParseKeyID reads a key ID. Errors: *KeyIDError.
func ParseKeyID(s string) (KeyID, error) {
	if len(s) != keyIDLength {
		return KeyID{}, &KeyIDError{s}
	}
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return KeyID{}, &KeyIDError{s}
		}
	}
	return KeyID{s}, nil
}

// String gives all digits; "" for none.
func (id KeyID) String() string { return id.digits }

// Short gives the first digits, enough to tell keys apart on a screen.
func (id KeyID) Short() string { return id.digits[:min(shortLength, len(id.digits))] }

// Compare orders key IDs by their digits.
func (id KeyID) Compare(other KeyID) int { return strings.Compare(id.digits, other.digits) }

// IsZero reports whether it is none.
func (id KeyID) IsZero() bool { return id == KeyID{} }

// MarshalText implements encoding.TextMarshaler, and with it JSON, as a value and as
// the name of a field.
func (id KeyID) MarshalText() ([]byte, error) { return []byte(id.digits), nil }

// UnmarshalText implements encoding.TextUnmarshaler. Errors: *KeyIDError.
func (id *KeyID) UnmarshalText(text []byte) error {
	parsed, err := ParseKeyID(string(text))
	if err == nil {
		*id = parsed
	}
	return err
}

// UnmarshalJSON implements json.Unmarshaler: null is not a key ID either. Errors:
// *KeyIDError for a string.
func (id *KeyID) UnmarshalJSON(data []byte) error {
	var s *string
	if err := json.Unmarshal(data, &s); err != nil {
		return err
	}
	if s == nil {
		return &KeyIDError{}
	}
	return id.UnmarshalText([]byte(*s))
}
