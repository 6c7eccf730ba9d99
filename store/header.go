package store

import (
	"crypto/sha256"
	"crypto/sha512"
	"path"
	"regexp"
	"strings"
	"sync"
)

// Caching says what Cache-Control goes with which kind of file. An empty field sends
// no such header.
type Caching struct {
	// Immutable is for files whose name says their content for ever: hash-named
	// targets and N.role.json.
	Immutable string
	// Timestamp is for timestamp.json.
	Timestamp string
	// Mutable is for everything else that is overwritten in place: the unversioned
	// copies and, in the flat layout, the target files.
	Mutable string
}

// DefaultCaching suits a CDN in front of the store. In the flat layout timestamp.json
// and the files it names must never be of different ages, so none of them is cached
// without asking; with consistent snapshots a minute's delay harms nobody.
func DefaultCaching(consistent bool) Caching {
	c := Caching{Immutable: "public, max-age=31536000, immutable", Timestamp: "no-cache", Mutable: "no-cache"}
	if consistent {
		c.Timestamp = "public, max-age=60"
	}
	return c
}

// versionedName matches N.root.json, N.targets.json and so on.
var versionedName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[1-9][0-9]*\.[^/]+\.json$`) })

func (c Caching) header(name string, consistent bool) Header {
	h := Header{ContentType: contentType(name), CacheControl: c.Mutable}
	target := strings.HasPrefix(name, "targets/")
	switch {
	case name == "timestamp.json":
		h.CacheControl = c.Timestamp
	case !target && versionedName().MatchString(name):
		h.CacheControl = c.Immutable
	case target && consistent && hashNamed(path.Base(name)):
		h.CacheControl = c.Immutable
	}
	return h
}

// hashNamed: the last element of a hash-named target, by SHA-512 or SHA-256.
func hashNamed(last string) bool {
	sum, name, _ := strings.Cut(last, ".")
	return name != "" && (isHex(sum, 2*sha512.Size) || isHex(sum, 2*sha256.Size))
}

// contentType never names a type that an intermediary may want to unpack: agents
// compare the length with the one in metadata.
func contentType(name string) string {
	if !strings.HasPrefix(name, "targets/") && strings.HasSuffix(name, ".json") {
		return "application/json"
	}
	return "application/octet-stream"
}
