package signer

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxURI bounds the length of a key URI in bytes; the longest sensible one is a
// module path plus a label.
const maxURI = 8192

// URI is a parsed key URI. The zero value names nothing.
type URI struct {
	// Scheme is "file", "pub", "pkcs11" or "piv".
	Scheme string
	// Opaque is the decoded path of a "file" or "pub" URI, else empty.
	Opaque string

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

// attribute tables: what each scheme knows. A "x-" prefix is a vendor attribute
// (RFC 7512, section 2.3) and is accepted and ignored.
func pathAttrs(scheme string) []string {
	switch scheme {
	case "pkcs11":
		return []string{
			"token", "manufacturer", "serial", "model", "library-manufacturer", "library-version",
			"library-description", "object", "type", "id", "slot-manufacturer", "slot-description", "slot-id",
		}
	case "piv":
		return []string{"serial", "slot", "reader"}
	}
	return nil
}

func queryAttrs(scheme string) []string {
	switch scheme {
	case "pkcs11":
		return []string{"pin-source", "module-name", "module-path"}
	case "piv", "file":
		return []string{"pin-source"}
	}
	return nil
}

// Parse reads a key URI. Errors are *URIError.
func Parse(s string) (URI, error) {
	u, reason := parse(s)
	if reason != "" {
		return URI{}, &URIError{URI: redact(s), Reason: reason}
	}
	return u, nil
}

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

func parse(s string) (URI, string) {
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
		return URI{}, `no scheme; a key is named like "file:keys/root.json", "pkcs11:token=...;object=..." or "piv:serial=...;slot=9c"`
	}
	scheme = strings.ToLower(scheme)
	if scheme == "yubikey" {
		scheme = "piv"
	}
	if !slices.Contains([]string{"file", "pub", "pkcs11", "piv"}, scheme) {
		return URI{}, fmt.Sprintf("unknown scheme %q; known are file, pub, pkcs11, piv (or yubikey)", scheme)
	}
	if strings.Contains(rest, "#") {
		return URI{}, `a fragment ("#...") has no meaning here; write %23 for a literal #`
	}
	pathPart, queryPart, hasQuery := strings.Cut(rest, "?")
	u := URI{Scheme: scheme, path: map[string]string{}, query: map[string]string{}}
	if scheme == "file" || scheme == "pub" {
		p, reason := decode(pathPart)
		if reason != "" {
			return URI{}, reason
		}
		if p, reason = localPath(p); reason != "" {
			return URI{}, reason
		}
		u.Opaque = p
	} else if reason := attrs(pathPart, ";", pathAttrs(scheme), u.path); reason != "" {
		return URI{}, reason
	}
	if hasQuery {
		if reason := attrs(queryPart, "&", queryAttrs(scheme), u.query); reason != "" {
			return URI{}, reason
		}
	}
	if len(u.String()) > maxURI { // it could not be read again
		return URI{}, fmt.Sprintf("longer than %d bytes in its canonical form", maxURI)
	}
	return u, check(u)
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
	for _, m := range []map[string]string{u.path, u.query} {
		for _, name := range slices.Sorted(maps.Keys(m)) {
			v := m[name]
			if name != "id" && !utf8.ValidString(v) {
				return fmt.Sprintf("attribute %q: not UTF-8", name)
			}
			if name != "id" && strings.ContainsRune(v, 0) {
				return fmt.Sprintf("attribute %q: NUL byte", name)
			}
			if v == "" && name != "object" && name != "token" && !strings.HasPrefix(name, "x-") {
				return fmt.Sprintf("attribute %q is empty", name)
			}
		}
	}
	if strings.ContainsRune(u.Opaque, 0) {
		return "NUL byte in the path"
	}
	switch u.Scheme {
	case "pkcs11":
		return checkPKCS11(u)
	case "piv":
		return checkPIV(u)
	}
	return checkPinSource(u)
}

func checkPKCS11(u URI) string {
	switch t := u.path["type"]; t {
	case "", "private", "public", "cert", "secret-key", "data":
	default:
		return fmt.Sprintf("type %q is none of public, private, cert, secret-key, data", t)
	}
	if id, ok := u.path["slot-id"]; ok {
		if _, err := strconv.ParseUint(id, 10, 64); err != nil {
			return fmt.Sprintf("slot-id %q is not a decimal number", id)
		}
	}
	if u.query["module-name"] != "" && u.query["module-path"] != "" {
		return "module-name and module-path exclude each other"
	}
	if p := u.query["module-path"]; p != "" && !strings.HasPrefix(p, "/") {
		return fmt.Sprintf("module-path %q is not absolute", p)
	}
	if n := u.query["module-name"]; strings.ContainsAny(n, "/\\") {
		return fmt.Sprintf("module-name %q holds a path separator", n)
	}
	return checkPinSource(u)
}

func checkPIV(u URI) string {
	if s := u.path["serial"]; s != "" {
		for _, c := range s {
			if c < '0' || c > '9' {
				return fmt.Sprintf("serial %q is not a decimal number", s)
			}
		}
		if len(s) > 10 {
			return fmt.Sprintf("serial %q is longer than a card's serial number", s)
		}
	}
	if s, ok := u.path["slot"]; ok && !ValidPIVSlot(s) {
		return fmt.Sprintf("slot %q is none of 9a, 9c, 9d, 9e, 82 to 95", s)
	}
	return checkPinSource(u)
}

// ValidPIVSlot reports whether s names a PIV slot that can hold a signing key:
// 9a, 9c, 9d, 9e or a retired one, 82 to 95 (NIST SP 800-73-4, part 1, table 4b).
func ValidPIVSlot(s string) bool {
	switch s = strings.ToLower(s); s {
	case "9a", "9c", "9d", "9e":
		return true
	}
	return len(s) == 2 && s >= "82" && s <= "95" && unhex(s[1]) >= 0
}

func checkPinSource(u URI) string {
	if src, ok := u.query["pin-source"]; ok {
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
	c := URI{Scheme: u.Scheme, Opaque: u.Opaque, path: map[string]string{}, query: map[string]string{}}
	for k, v := range u.path {
		c.path[k] = v
	}
	for k, v := range u.query {
		c.query[k] = v
	}
	c.path[name] = value
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
	return URI{Scheme: "file", Opaque: path, path: map[string]string{}, query: map[string]string{}}
}

// canonicalOrder puts what a person looks for first.
func canonicalOrder(scheme string) []string {
	if scheme == "pkcs11" {
		return []string{"token", "serial", "id", "object", "type"}
	}
	return []string{"serial", "reader", "slot"}
}

// String gives the canonical form: lower-case scheme, attributes in a fixed order
// with the rest sorted behind them, no query and so no place for a secret.
func (u URI) String() string {
	if u.IsZero() {
		return ""
	}
	if u.Scheme == "file" || u.Scheme == "pub" {
		return u.Scheme + ":" + encode(u.Opaque, "/")
	}
	var parts []string
	order := canonicalOrder(u.Scheme)
	for _, name := range order {
		if v, ok := u.path[name]; ok {
			parts = append(parts, name+"="+encodeAttr(name, v))
		}
	}
	var rest []string
	for name, v := range u.path {
		if !slices.Contains(order, name) {
			rest = append(rest, name+"="+encodeAttr(name, v))
		}
	}
	slices.Sort(rest)
	return u.Scheme + ":" + strings.Join(append(parts, rest...), ";")
}

func encodeAttr(name, v string) string {
	if name == "id" {
		return percentAll(v)
	}
	if name == "slot" {
		return strings.ToLower(v)
	}
	return encode(v, "")
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
