package repo

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/secure-systems-lab/go-securesystemslib/cjson"

	"github.com/fleet-hsm/fleet-hsm/internal/canonjson"
)

// canonical returns the canonical form (OLPC canonical JSON, as go-tuf and
// python-tuf use it) of a JSON value. What we write is canonical already, and one pass
// over the bytes shows it; what go-tuf and fleetctl write has its keys in another
// order, which takes a second pass (see canonjson.Reorder). Only other input is decoded and
// encoded again, which costs twenty times as much on a large targets.json.
func canonical(raw []byte) ([]byte, error) {
	if canonjson.Is(raw) {
		return raw, nil
	}
	if out, ok := canonjson.Reorder(raw); ok {
		return out, nil
	}
	if tooDeep(raw) {
		return nil, errors.New("nested too deeply")
	}
	return cjson.EncodeCanonical(jsonRaw(raw))
}

// canonicalString writes a string in canonical form: only backslash and quotation
// mark are escaped.
func canonicalString(s string) string {
	if strings.ContainsAny(s, `"\`) {
		s = strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s)
	}
	return `"` + s + `"`
}

// escapeControls makes JSON of canonical JSON: control characters stand only inside
// strings there, and are written as escapes. Without any it returns its input.
func escapeControls(b []byte) []byte {
	if !slices.ContainsFunc(b, isControl) {
		return b
	}
	out := make([]byte, 0, len(b)+64)
	for _, c := range b {
		switch {
		case c == '\n':
			out = append(out, '\\', 'n')
		case c < 0x20:
			out = fmt.Appendf(out, "\\u%04x", c)
		default:
			out = append(out, c)
		}
	}
	return out
}

func isControl(c byte) bool { return c < 0x20 }

// jsonRaw hands bytes through json.Marshal unchanged.
type jsonRaw []byte

func (r jsonRaw) MarshalJSON() ([]byte, error) { return r, nil }

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
			if depth++; depth > canonjson.MaxDepth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}
