package kms

import (
	"fmt"
	"regexp"
	"strings"
	"sync"
	"unicode"

	"github.com/fleet-hsm/fleet-hsm/signer"
)

// The attributes of a URI.
const (
	attrName = "name"
	attrRef  = "ref"
)

// kind is what is declared of keys in a KMS. It is never written to.
var kind = signer.Kind{
	Scheme:   "kms",
	Form:     "kms:NAME;ref=...",
	Device:   []string{attrName},
	Key:      []string{attrRef},
	First:    attrName,
	Service:  true,
	Foreign:  foreign,
	Check:    checkURI,
	Absent:   func(u signer.URI) string { return programOf(u) },
	Identity: func(u signer.URI) string { name, _ := u.Attr(attrName); return name },
	Settings: []signer.Setting{{Name: "plugins"}, {Name: "environment"}},
	New: func(_ string, setting func(string) string) signer.Backend {
		return New(Options{Folder: setting("plugins"), Environment: setting("environment")})
	},
}

// Kind declares keys in a KMS.
func Kind() *signer.Kind { return &kind }

// prefix begins the name of each plug-in's program.
const prefix = "sigstore-kms-"

// programOf names the program of a URI, without its folder.
func programOf(u signer.URI) string {
	name, _ := u.Attr(attrName)
	return prefix + name
}

// maxRef bounds a reference in bytes; it is part of a command line.
const maxRef = 4096

var plugin = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`) })

// checkURI says what is wrong with a URI besides its attributes' names.
func checkURI(u signer.URI) string {
	name, named := u.Attr(attrName)
	ref, there := u.Attr(attrRef)
	switch {
	case !named:
		return `no plug-in; a key in a KMS is named like "kms:NAME;ref=...", and the program is sigstore-kms-NAME`
	case !plugin().MatchString(name):
		return fmt.Sprintf("plug-in %q: its name has lower-case letters, digits, \".\", \"_\" and \"-\" only", name)
	case !there:
		return `no reference to a key; write "ref=..." as the plug-in wants it`
	case len(ref) > maxRef:
		return fmt.Sprintf("ref is longer than %d bytes", maxRef)
	case strings.ContainsFunc(ref, unicode.IsControl):
		return "ref holds a control character"
	}
	return ""
}

// foreign reads NAME://REF, which is what sigstore's programs call a key.
func foreign(u signer.URI, scheme, rest string) (signer.URI, bool) {
	ref, ok := strings.CutPrefix(rest, "//")
	if !ok || ref == "" || !plugin().MatchString(scheme) {
		return signer.URI{}, false
	}
	return u.With(attrName, scheme).With(attrRef, ref), true
}
