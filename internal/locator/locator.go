// Package locator holds what somebody else may say of the place of a key: in a request,
// in a public key file.
//
// A [Locator] names a device and a key on it, in the canonical form of a key URI, and
// can hold nothing else: no query, so no module and no source of a PIN; no attribute that
// means something on one machine only; no path of a file. It is compared with the devices
// that the holder's own modules and readers show; it makes none appear.
package locator

import (
	"fmt"
	"slices"
	"strings"
)

// Locator says on which device a key is. The zero value says nothing; locators are
// comparable.
type Locator struct{ text string }

// Error says which text is no locator and why.
type Error struct {
	Text   string
	Reason string
}

func (e *Error) Error() string { return fmt.Sprintf("the place of a key, %.60q: %s", e.Text, e.Reason) }

// most bounds a locator in bytes.
const most = 1000

// attrs are the attributes that mean the same on every machine, whatever the kind of key.
// Which of them a kind has is known to who looks for the key: what a back end does not
// know is not looked for.
func attrs() []string {
	return []string{"token", "manufacturer", "serial", "model", "object", "type", "id", "slot", "reader", "name", "ref"}
}

// sources are the schemes of secrets; a key is in none of them.
func sources() []string { return []string{"cmd", "env", "fd"} }

// maxScheme bounds the name of a kind of key.
const maxScheme = 16

// isScheme reports whether s can be the name of a kind of key.
func isScheme(s string) bool {
	for i := 0; i < len(s); i++ {
		if letter, digit := s[i] >= 'a' && s[i] <= 'z', s[i] >= '0' && s[i] <= '9'; !letter && (!digit || i == 0) {
			return false
		}
	}
	return s != "" && len(s) <= maxScheme
}

// Parse reads a locator. The path of a file means something on one machine only, and is
// read as nothing.
// Errors are *Error.
func Parse(s string) (Locator, error) {
	refuse := func(format string, args ...any) (Locator, error) {
		return Locator{}, &Error{Text: s, Reason: fmt.Sprintf(format, args...)}
	}
	if s == "" {
		return Locator{}, nil
	}
	if len(s) > most {
		return refuse("longer than %d bytes", most)
	}
	if strings.ContainsAny(s, "?#") {
		return refuse("others cannot name a module or the source of a PIN; it has no query")
	}
	scheme, list, ok := strings.Cut(s, ":")
	if !ok || !isScheme(scheme) {
		return refuse("%.20q is not a kind of key", scheme)
	}
	if slices.Contains(sources(), scheme) {
		return refuse("%q is where a secret comes from", scheme)
	}
	if list != "" && !strings.ContainsAny(list, "=;") {
		return Locator{}, nil
	}
	known := attrs()
	var seen []string
	for pair := range strings.SplitSeq(list, ";") {
		name, value, ok := strings.Cut(pair, "=")
		switch {
		case !ok || !bare(value):
			return refuse("%.40q is not name=value in canonical form", pair)
		case !slices.Contains(known, name):
			return refuse("attribute %.40q is none of %s", name, strings.Join(known, ", "))
		case slices.Contains(seen, name):
			return refuse("attribute %.40q is given twice", name)
		}
		seen = append(seen, name)
	}
	return Locator{s}, nil
}

// bare reports whether a value is percent-encoded as RFC 7512 wants it.
func bare(v string) bool {
	for i := 0; i < len(v); i++ {
		c := v[i]
		switch {
		case c == '%' && i+2 < len(v) && hex(v[i+1]) && hex(v[i+2]):
			i += 2
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("-._~:[]@!$'()*+,", c) >= 0:
		default:
			return false
		}
	}
	return true
}

func hex(c byte) bool { return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' }

// Of gives what may be told to others of a key: the part of its URI that means the same on
// every machine, as signer.URI.Told has it. What is more than that, or too long, is not told.
func Of(told string) Locator {
	l, err := Parse(told)
	if err != nil {
		return Locator{}
	}
	return l
}

// String gives the text, a key URI without query.
func (l Locator) String() string { return l.text }

// IsZero reports whether nothing is said.
func (l Locator) IsZero() bool { return l.text == "" }

// MarshalText implements encoding.TextMarshaler.
func (l Locator) MarshalText() ([]byte, error) { return []byte(l.text), nil }

// UnmarshalText implements encoding.TextUnmarshaler with Parse.
func (l *Locator) UnmarshalText(b []byte) (err error) {
	*l, err = Parse(string(b))
	return err
}
