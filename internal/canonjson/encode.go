package canonjson

import (
	"errors"

	"github.com/secure-systems-lab/go-securesystemslib/cjson"
)

// Encode returns the canonical form (OLPC canonical JSON, as go-tuf and python-tuf use
// it) of a JSON value; raw itself where it is in it already. What neither is nor can be
// moved into it (see Reorder) is decoded and encoded again.
func Encode(raw []byte) ([]byte, error) {
	if Is(raw) {
		return raw, nil
	}
	if out, ok := Reorder(raw); ok {
		return out, nil
	}
	if tooDeep(raw) {
		return nil, errors.New("nested too deeply")
	}
	return cjson.EncodeCanonical(verbatim(raw))
}

// verbatim hands bytes through json.Marshal unchanged.
type verbatim []byte

func (v verbatim) MarshalJSON() ([]byte, error) { return v, nil }

func tooDeep(raw []byte) bool {
	depth, inString := 0, false
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			if depth++; depth > MaxDepth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}
