package repo

import (
	"fmt"
	"slices"
	"strings"
)

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
