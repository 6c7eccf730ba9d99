package signer

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxURI bounds the length of a key URI in bytes; the longest sensible one is a
// module path plus a label.
const maxURI = 8192

// URI is a parsed key URI. The zero value names nothing.
type URI struct {
	// Scheme is that of its kind.
	Scheme string
	// Opaque is the decoded path of a file, for kinds that name one, else empty.
	Opaque string

	kind  *Kind
	path  map[string]string
	query map[string]string
}

// URIError says which URI could not be parsed and why. The text never repeats a
// secret: the value of pin-value is cut out.
type URIError struct {
	URI    string
	Reason string
}

func (e *URIError) Error() string { return fmt.Sprintf("key URI %q: %s", e.URI, e.Reason) }

// pinSource is the attribute that says where a PIN comes from.
const pinSource = "pin-source"

// redact cuts what may be a PIN out of a URI that is about to be shown, with
// everything behind it: a PIN may hold any character.
func redact(s string) string {
	start := 0
	for i := 0; i <= len(s); i++ {
		if i < len(s) && !strings.ContainsRune(":;?&", rune(s[i])) {
			continue
		}
		if name := s[start:i]; holdsPIN(name) {
			return s[:start] + "pin-value=..."
		}
		start = i + 1
	}
	return s
}

// holdsPIN reports whether a piece of a URI looks like an attribute that holds a PIN,
// however its name is written.
func holdsPIN(piece string) bool {
	name, _, isAttr := strings.Cut(piece, "=")
	if d, reason := decode(name); reason == "" {
		name = d
	}
	name = strings.ToLower(strings.TrimSpace(name))
	if strings.Contains(name, "pin-value") || strings.Contains(name, "pinvalue") {
		return true
	}
	return isAttr && strings.HasSuffix(name, "pin") || strings.HasPrefix(name, "pin") && isAttr && name != "pin-source"
}

func (ks Kinds) parse(s string) (URI, string) {
	if len(s) > maxURI {
		return URI{}, fmt.Sprintf("longer than %d bytes", maxURI)
	}
	if !utf8.ValidString(s) {
		return URI{}, "not UTF-8"
	}
	for _, r := range s {
		if r < 0x20 || r == 0x7f {
			return URI{}, fmt.Sprintf("control character %U", r)
		}
	}
	scheme, rest, ok := strings.Cut(s, ":")
	if !ok {
		return URI{}, "no scheme; a key is named like " + ks.forms()
	}
	scheme = strings.ToLower(scheme)
	k := ks.find(scheme)
	if u, ok := ks.foreign(k, scheme, rest); ok {
		return whole(u)
	}
	if k == nil {
		return URI{}, fmt.Sprintf("unknown scheme %q; known are %s", scheme, ks.known())
	}
	if strings.Contains(rest, "#") {
		return URI{}, `a fragment ("#...") has no meaning here; write %23 for a literal #`
	}
	pathPart, queryPart, hasQuery := strings.Cut(rest, "?")
	u := k.URI()
	if k.Path {
		p, reason := decode(pathPart)
		if reason != "" {
			return URI{}, reason
		}
		if p, reason = localPath(p); reason != "" {
			return URI{}, reason
		}
		u.Opaque = p
	} else if reason := u.attrs(pathPart); reason != "" {
		return URI{}, reason
	}
	if hasQuery {
		if reason := attrs(queryPart, "&", k.Query, u.query); reason != "" {
			return URI{}, reason
		}
	}
	return whole(u)
}

// whole judges what was read.
func whole(u URI) (URI, string) {
	if len(u.String()) > maxURI { // it could not be read again
		return URI{}, fmt.Sprintf("longer than %d bytes in its canonical form", maxURI)
	}
	return u, check(u)
}

// foreign asks the kinds about a scheme that none of them has.
func (ks Kinds) foreign(known *Kind, scheme, rest string) (URI, bool) {
	if known != nil {
		return URI{}, false
	}
	for _, k := range ks {
		if k.Foreign != nil {
			if u, ok := k.Foreign(k.URI(), scheme, rest); ok {
				return u, true
			}
		}
	}
	return URI{}, false
}

// attrs reads the path attributes, of which one may stand in front without its name.
func (u URI) attrs(part string) string {
	k := u.Kind()
	first, rest, _ := strings.Cut(part, ";")
	if k.First != "" && first != "" && !strings.Contains(first, "=") {
		v, reason := decode(first)
		if reason != "" {
			return fmt.Sprintf("attribute %q: %s", k.First, reason)
		}
		u.path[k.First], part = v, rest
	}
	return attrs(part, ";", k.Attributes(), u.path)
}

// localPath takes "///" for the start of an absolute path (RFC 8089), and further slashes
// as part of it: "//x" could not be written again. It refuses a host, which is what a
// relative path behind "//" would be.
func localPath(p string) (string, string) {
	switch {
	case p == "":
		return "", "no path after the scheme"
	case strings.HasPrefix(p, "///"):
		return "/" + strings.TrimLeft(p, "/"), ""
	case strings.HasPrefix(p, "//"):
		return "", `"//" starts the name of a host; write the path right after the colon`
	}
	return p, ""
}

func attrs(part, sep string, known []string, into map[string]string) string {
	part = strings.TrimSuffix(part, sep) // some tools end the list with one
	if part == "" {
		return ""
	}
	for _, pair := range strings.Split(part, sep) {
		name, value, ok := strings.Cut(pair, "=")
		name = strings.ToLower(name)
		if holdsPIN(pair) {
			return "pin-value would put the PIN into files and logs; use pin-source, an environment variable or the terminal"
		}
		if !ok || name == "" {
			return fmt.Sprintf("%q is not name=value", pair)
		}
		if !slices.Contains(known, name) && !strings.HasPrefix(name, "x-") {
			if len(known) == 0 {
				return fmt.Sprintf("unknown attribute %q; this kind of key takes none here", name)
			}
			return fmt.Sprintf("unknown attribute %q; known here are %s", name, strings.Join(known, ", "))
		}
		if _, dup := into[name]; dup {
			return fmt.Sprintf("attribute %q is given twice", name)
		}
		v, reason := decode(value)
		if reason != "" {
			return fmt.Sprintf("attribute %q: %s", name, reason)
		}
		into[name] = v
	}
	return ""
}

// decode undoes percent encoding byte by byte (RFC 3986, section 2.1); "+" is a
// plus sign.
func decode(s string) (string, string) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b.WriteByte(s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", "a percent sign needs two hexadecimal digits after it"
		}
		hi, lo := unhex(s[i+1]), unhex(s[i+2])
		if hi < 0 || lo < 0 {
			return "", fmt.Sprintf("%q is not a percent-encoded byte", s[i:i+3])
		}
		b.WriteByte(byte(hi<<4 | lo))
		i += 2
	}
	return b.String(), ""
}

func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

func check(u URI) string {
	k := u.Kind()
	for _, m := range []map[string]string{u.path, u.query} {
		for _, name := range slices.Sorted(maps.Keys(m)) {
			v := m[name]
			text := !slices.Contains(k.Bytes, name)
			if text && !utf8.ValidString(v) {
				return fmt.Sprintf("attribute %q: not UTF-8", name)
			}
			if text && strings.ContainsRune(v, 0) {
				return fmt.Sprintf("attribute %q: NUL byte", name)
			}
			if v == "" && !slices.Contains(k.MayBeEmpty, name) && !strings.HasPrefix(name, "x-") {
				return fmt.Sprintf("attribute %q is empty", name)
			}
		}
	}
	if strings.ContainsRune(u.Opaque, 0) {
		return "NUL byte in the path"
	}
	if k.Check != nil {
		if reason := k.Check(u); reason != "" {
			return reason
		}
	}
	return checkPinSource(u)
}

func checkPinSource(u URI) string {
	if src, ok := u.query[pinSource]; ok {
		src = strings.ToLower(strings.TrimSpace(src))
		if strings.HasPrefix(src, "|") {
			return `pin-source: a command ("|...") is not run from a URI; name it as cmd:... in the configuration`
		}
		if strings.HasPrefix(src, "cmd:") {
			return "pin-source: a command is taken from the configuration only, never from a URI"
		}
	}
	return ""
}

// Attr gives a path attribute, decoded, and whether it is there. For "id" the value
// is raw bytes.
func (u URI) Attr(name string) (string, bool) { v, ok := u.path[name]; return v, ok }

// Query gives a query attribute, decoded, and whether it is there.
func (u URI) Query(name string) (string, bool) { v, ok := u.query[name]; return v, ok }

// IsZero reports whether u names nothing.
func (u URI) IsZero() bool { return u.Scheme == "" }

// With returns a copy of u with a path attribute set.
func (u URI) With(name, value string) URI {
	c := u.copy()
	c.path[name] = value
	return c
}

func (u URI) copy() URI {
	c := URI{Scheme: u.Scheme, Opaque: u.Opaque, kind: u.kind, path: map[string]string{}, query: map[string]string{}}
	maps.Copy(c.path, u.path)
	maps.Copy(c.query, u.query)
	return c
}

// Without gives the URI without an attribute.
func (u URI) Without(name string) URI {
	c := u.With(name, "")
	delete(c.path, name)
	return c
}

// FileURI names the key file at path.
func FileURI(path string) URI {
	u := keyFile.URI()
	u.Opaque = path
	return u
}

// String gives the canonical form: lower-case scheme, attributes in a fixed order
// with the rest sorted behind them, no query and so no place for a secret.
func (u URI) String() string {
	if u.IsZero() {
		return ""
	}
	if u.Kind().Path {
		return u.Scheme + ":" + encode(u.Opaque, "/")
	}
	return u.only(u.names())
}

// names lists the attributes of u in the order in which they are written: what a person
// looks for first, then the rest.
func (u URI) names() []string {
	k := u.Kind()
	names := slices.DeleteFunc(slices.Concat(k.Device, k.Key, k.Class), func(name string) bool { _, ok := u.path[name]; return !ok })
	for _, name := range slices.Sorted(maps.Keys(u.path)) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// only writes u with some of its attributes.
func (u URI) only(names []string) string {
	var parts []string
	for _, name := range u.names() {
		if slices.Contains(names, name) && name == u.Kind().First && len(parts) == 0 {
			parts = append(parts, u.encoded(name))
		} else if slices.Contains(names, name) {
			parts = append(parts, name+"="+u.encoded(name))
		}
	}
	return u.Scheme + ":" + strings.Join(parts, ";")
}

// encoded is the value of an attribute as it is written.
func (u URI) encoded(name string) string {
	switch k, v := u.Kind(), u.path[name]; {
	case slices.Contains(k.Bytes, name):
		return percentAll(v)
	case slices.Contains(k.Folded, name):
		return strings.ToLower(v)
	default:
		return encode(v, "")
	}
}

func percentAll(v string) string {
	var b strings.Builder
	for i := 0; i < len(v); i++ {
		fmt.Fprintf(&b, "%%%02x", v[i])
	}
	return b.String()
}

// encode percent-encodes what RFC 7512 does not allow bare in an attribute value.
// Letters beyond ASCII are encoded too, so the result is plain ASCII.
func encode(v, alsoBare string) string {
	const bare = "-._~:[]@!$'()*+,"
	var b strings.Builder
	for i := 0; i < len(v); i++ {
		c := v[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if letter || strings.IndexByte(bare, c) >= 0 || strings.IndexByte(alsoBare, c) >= 0 {
			b.WriteByte(c)
			continue
		}
		fmt.Fprintf(&b, "%%%02X", c)
	}
	return b.String()
}
