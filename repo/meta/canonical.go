package meta

import (
	"fmt"
	"slices"
	"strings"
)

// CanonicalString writes a string in canonical form: only backslash and quotation
// mark are escaped.
func CanonicalString(s string) string {
	if strings.ContainsAny(s, `"\`) {
		s = strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s)
	}
	return `"` + s + `"`
}

// escapeControls makes JSON of canonical JSON: control characters stand only inside
// strings there, and are written as escapes. Without any it returns its input.
func escapeControls(b []byte) []byte { return escape(b, nextControl) }

// escapeStored makes JSON of canonical JSON in the form in which agents store it
// (encoding/json over a raw message): a file that holds < > & or a line separator as
// such has another hash in the agent than snapshot says.
func escapeStored(b []byte) []byte { return escape(b, nextStored) }

// escape writes as escapes what next finds.
func escape(b []byte, next func([]byte) int) []byte {
	i := next(b)
	if i < 0 {
		return b
	}
	out := make([]byte, 0, len(b)+len(b)/64+64)
	for ; i >= 0; i = next(b) {
		out = append(out, b[:i]...)
		n := 1
		switch {
		case b[i] == '\n':
			out = append(out, '\\', 'n')
		case b[i] == lineSeparator[0]:
			n = len(lineSeparator)
			out = fmt.Appendf(out, "\\u202%x", b[i+2]&0xf)
		default:
			out = fmt.Appendf(out, "\\u%04x", b[i])
		}
		b = b[i+n:]
	}
	return append(out, b...)
}

func nextControl(b []byte) int {
	return slices.IndexFunc(b, func(c byte) bool { return c < 0x20 })
}

// lineSeparator is U+2028 in UTF-8; U+2029 differs in the last bit.
const lineSeparator = "\u2028"

func nextStored(b []byte) int {
	for i, c := range b {
		switch {
		case c < 0x20, c == '<', c == '>', c == '&':
			return i
		case c == lineSeparator[0] && i+2 < len(b) && b[i+1] == lineSeparator[1] && b[i+2]&^1 == lineSeparator[2]:
			return i
		}
	}
	return -1
}
