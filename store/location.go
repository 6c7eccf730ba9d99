package store

import (
	"net"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/minio/minio-go/v7/pkg/encrypt"
)

// Location is a parsed store URL.
type Location struct {
	// Scheme is "file" or "s3".
	Scheme string
	// Path is the folder, absolute and clean (file).
	Path string
	// Bucket and Prefix (s3). Prefix has no slash at either end.
	Bucket, Prefix string
	// Endpoint is HOST or HOST:PORT; empty for Amazon's own.
	Endpoint string
	// Plain: the endpoint was given as http://, so there is no TLS.
	Plain bool
	// Region may be empty: see Open.
	Region string
	// Style is how the bucket is addressed: "path", "virtual", or "" to go by the
	// endpoint.
	Style string
	// SSE is the encryption that writes ask for: "AES256", "aws:kms", or "aws:kms:KEYID".
	SSE string
	// Payer is "requester" where the bucket's owner wants requests paid for.
	Payer string
}

// encryption is what SSE means to the client library; nil for "".
func (l Location) encryption() encrypt.ServerSide {
	key, kms := strings.CutPrefix(l.SSE, sseKMS)
	switch {
	case l.SSE == "":
		return nil
	case !kms:
		return encrypt.NewSSE()
	}
	sse, err := encrypt.NewSSEKMS(strings.TrimPrefix(key, ":"), nil)
	if err != nil {
		return nil // only a context can fail, and there is none
	}
	return sse
}

// Values of sse=.
const (
	sseAES = "AES256"
	sseKMS = "aws:kms"
)

// kmsKey allows key IDs, aliases and ARNs.
var kmsKey = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9:/_-]*$`) })

// Lengths are checked apart: a counted repetition is slow to compile, in every command.

// bucketName is S3's own rule (Amazon S3 user guide, "Bucket naming rules").
var bucketName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9][a-z0-9.-]+[a-z0-9]$`) })

// regionName allows what providers use, such as "eu-central-1", "auto", "garage".
var regionName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`) })

// hostName allows DNS names and IPv4 addresses; IPv6 is handled apart.
var hostName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$`) })

// Parse reads a store URL. It is strict: an unknown or repeated parameter, a
// fragment, credentials, a relative path or "." and ".." are errors (*URLError).
//
//	file:///srv/updates
//	s3://bucket/prefix?endpoint=https://HOST[:PORT]&region=REGION&style=path|virtual
//	    &sse=AES256|aws:kms|aws:kms:KEYID&payer=requester
func Parse(s string) (Location, error) {
	bad := func(why string) (Location, error) { return Location{}, &URLError{URL: redact(s), Why: why} }
	if !utf8.ValidString(s) || hasControl(s) {
		return bad("control characters or broken UTF-8")
	}
	u, err := url.Parse(s)
	if err != nil {
		return bad("cannot be parsed")
	}
	switch {
	case u.User != nil:
		return bad("credentials do not belong in a URL")
	case u.Fragment != "" || strings.Contains(s, "#"):
		return bad("a fragment (#) means nothing here")
	case u.Opaque != "":
		return bad(`"//" is missing after the scheme`)
	case u.ForceQuery:
		return bad("the query is empty")
	}
	var loc Location
	var why string
	switch u.Scheme {
	case "file":
		loc, why = parseFile(u)
	case "s3":
		loc, why = parseS3(u)
	case "":
		why = "no scheme; file: and s3: are known"
	default:
		why = "scheme " + strconv.Quote(u.Scheme) + " is not known; file: and s3: are"
	}
	if why != "" {
		return bad(why)
	}
	return loc, nil
}

// redact cuts what could hold a secret from a URL that is going to be printed.
func redact(s string) string {
	s, _, _ = strings.Cut(s, "?")
	s, _, _ = strings.Cut(s, "#")
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok {
		return s
	}
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		rest = rest[i+1:]
	}
	return scheme + "://" + rest
}

func parseFile(u *url.URL) (Location, string) {
	switch {
	case u.Host != "" && u.Host != "localhost": // RFC 8089 knows both forms
		return Location{}, "a folder is named with three slashes: file:///srv/updates"
	case u.RawQuery != "":
		return Location{}, "a folder takes no parameters"
	case !strings.HasPrefix(u.Path, "/") || u.Path == "/":
		return Location{}, "an absolute path to a folder is needed"
	case hasControl(u.Path):
		return Location{}, "control characters in the path"
	}
	if slices.Contains(strings.Split(u.Path, "/"), "..") {
		return Location{}, `".." is not allowed in the path`
	}
	clean := path.Clean(u.Path)
	if clean == "/" {
		return Location{}, "an absolute path to a folder is needed"
	}
	return Location{Scheme: "file", Path: clean}, ""
}

func parseS3(u *url.URL) (Location, string) {
	loc := Location{Scheme: "s3", Bucket: u.Host}
	if len(u.Host) > 63 || !bucketName().MatchString(u.Host) || strings.Contains(u.Host, "..") || net.ParseIP(u.Host) != nil {
		return loc, "a bucket name has 3 to 63 lower-case letters, digits, dots and dashes"
	}
	loc.Prefix = strings.TrimSuffix(strings.TrimPrefix(u.Path, "/"), "/")
	if loc.Prefix != "" && checkName(loc.Prefix) != nil {
		return loc, "the prefix has empty, \".\" or \"..\" parts or odd characters"
	}
	if strings.Contains(u.RawQuery, ";") {
		return loc, `parameters are separated by "&"`
	}
	q, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return loc, "the query cannot be parsed"
	}
	for name, values := range q {
		if len(values) != 1 {
			return loc, "parameter " + strconv.Quote(name) + " is repeated"
		}
		if why := loc.set(name, values[0]); why != "" {
			return loc, why
		}
	}
	if loc.Payer != "" && loc.Plain {
		return loc, "payer= needs an https endpoint"
	}
	return loc, ""
}

func (l *Location) set(name, value string) string {
	switch name {
	case "endpoint":
		return l.setEndpoint(value)
	case "region":
		if len(value) > 64 || !regionName().MatchString(value) {
			return "region " + strconv.Quote(value) + " is not one"
		}
		l.Region = value
	case "style":
		if value != "path" && value != "virtual" {
			return `style is "path" or "virtual"`
		}
		l.Style = value
	case "sse":
		return l.setSSE(value)
	case "payer":
		if value != "requester" {
			return `payer is "requester"`
		}
		l.Payer = value
	default:
		return "parameter " + strconv.Quote(name) + " is not known; endpoint, region, style, sse and payer are"
	}
	return ""
}

func (l *Location) setSSE(value string) string {
	key, withKey := strings.CutPrefix(value, sseKMS+":")
	if value != sseAES && value != sseKMS && (!withKey || len(key) > 2048 || !kmsKey().MatchString(key)) {
		return "sse is AES256, aws:kms or aws:kms:KEYID"
	}
	l.SSE = value
	return ""
}

func (l *Location) setEndpoint(value string) string {
	const why = "endpoint is https://HOST[:PORT], http:// only where TLS is not wanted"
	rest, plain := strings.CutPrefix(value, "http://")
	if !plain {
		rest = strings.TrimPrefix(value, "https://")
	}
	rest = strings.TrimSuffix(rest, "/")
	host, port := rest, ""
	if h, p, err := net.SplitHostPort(rest); err == nil {
		host, port = h, p
		if n, err := strconv.Atoi(p); err != nil || n < 1 || n > 65535 || strconv.Itoa(n) != p {
			return why
		}
	} else if strings.HasPrefix(rest, "[") && strings.HasSuffix(rest, "]") {
		host = rest[1 : len(rest)-1]
	}
	ip := net.ParseIP(host)
	if ip == nil && (len(host) > 253 || !hostName().MatchString(host)) {
		return why
	}
	if ip != nil && ip.To4() == nil {
		host = "[" + host + "]"
	}
	l.Plain, l.Endpoint = plain, strings.ToLower(host)
	if port != "" {
		l.Endpoint += ":" + port
	}
	return ""
}

// String gives the canonical URL; Parse of it gives the same Location.
func (l Location) String() string {
	if l.Scheme == "file" {
		return (&url.URL{Scheme: "file", Path: l.Path}).String()
	}
	u := url.URL{Scheme: "s3", Host: l.Bucket}
	if l.Prefix != "" {
		u.Path = "/" + l.Prefix
	}
	// Written by hand, because url.Values would escape the endpoint beyond reading;
	// no value can hold "&", "?" or "%".
	var q []string
	if l.Endpoint != "" {
		scheme := "https://"
		if l.Plain {
			scheme = "http://"
		}
		q = append(q, "endpoint="+scheme+l.Endpoint)
	}
	if l.Region != "" {
		q = append(q, "region="+l.Region)
	}
	if l.Style != "" {
		q = append(q, "style="+l.Style)
	}
	if l.SSE != "" {
		q = append(q, "sse="+l.SSE)
	}
	if l.Payer != "" {
		q = append(q, "payer="+l.Payer)
	}
	u.RawQuery = strings.Join(q, "&")
	return u.String()
}
