package pkcs11

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/fleet-hsm/fleet-hsm/signer"
)

// kind is what is declared of keys on PKCS#11 tokens. It is never written to.
var kind = signer.Kind{
	Scheme: "pkcs11",
	Form:   "pkcs11:token=...;object=...",
	Device: []string{"token", "serial"},
	Key:    []string{"id", "object"},
	// CKA_ID is bytes; a token may have no label, and an object neither.
	Bytes: []string{"id"}, MayBeEmpty: []string{"token", "object"},
	Class:  []string{"type"},
	Traits: []string{"manufacturer", "model"},
	Local: []string{
		"library-manufacturer", "library-version", "library-description", "slot-manufacturer", "slot-description", "slot-id",
	},
	Query: []string{"module-path", "module-name", "pin-source"},
	Check: checkURI,
	Prepared: func(t signer.Token) []string {
		return []string{fmt.Sprintf(`Keep the SO PIN apart. Next: fleet-hsm key generate "%s;object=NAME"`, t.URI)}
	},
	Settings: []signer.Setting{{Name: "module", Flag: "pkcs11-module", Usage: "PKCS#11 module (absolute path)", Query: "module-path", Needed: true}},
	New: func(_ string, setting func(string) string) signer.Backend {
		return New(Options{Module: setting("module")})
	},
}

// Kind declares keys on PKCS#11 tokens.
func Kind() *signer.Kind { return &kind }

// checkURI says what is wrong with a URI besides its attributes' names.
func checkURI(u signer.URI) string {
	switch t, _ := u.Attr("type"); t {
	case "", "private", "public", "cert", "secret-key", "data":
	default:
		return fmt.Sprintf("type %q is none of public, private, cert, secret-key, data", t)
	}
	if id, ok := u.Attr("slot-id"); ok {
		if _, err := strconv.ParseUint(id, 10, 64); err != nil {
			return fmt.Sprintf("slot-id %q is not a decimal number", id)
		}
	}
	name, byName := u.Query("module-name")
	file, byFile := u.Query("module-path")
	switch {
	case byName && byFile:
		return "module-name and module-path exclude each other"
	case byFile && !strings.HasPrefix(file, "/"):
		return fmt.Sprintf("module-path %q is not absolute", file)
	case strings.ContainsAny(name, "/\\"):
		return fmt.Sprintf("module-name %q holds a path separator", name)
	}
	return ""
}
