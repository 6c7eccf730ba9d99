package piv

import (
	"fmt"
	"strings"

	"github.com/fleet-hsm/fleet-hsm/signer"
)

// kind is what is declared of keys on PIV cards. It is never written to.
var kind = signer.Kind{
	Scheme:     "piv",
	Aliases:    []string{"yubikey"},
	Form:       "piv:serial=...;slot=9c",
	Device:     []string{"serial", "reader"},
	Key:        []string{"slot"},
	Folded:     []string{"slot"},
	Query:      []string{"pin-source"},
	Check:      checkURI,
	Person:     true,
	Insertable: true,
	Management: true,
	Absent: func(u signer.URI) string {
		if s, ok := u.Attr("serial"); ok {
			return "YubiKey " + s
		}
		if r, ok := u.Attr("reader"); ok {
			return fmt.Sprintf("the card of reader %q", r)
		}
		return "the YubiKey"
	},
	Identity: func(u signer.URI) string {
		serial, _ := u.Attr("serial")
		return strings.TrimLeft(serial, "0")
	},
	Prepared: func(t signer.Token) []string {
		return []string{
			fmt.Sprintf("Write on its label: %s and whose it is. Keep the PUK apart from the card: it opens the card after three wrong PINs.", t.Serial),
			fmt.Sprintf(`Next: fleet-hsm key generate "%s;slot=9c"`, t.URI),
		}
	},
	New: func(string, func(string) string) signer.Backend { return New(Options{}) },
}

// Kind declares keys on PIV cards.
func Kind() *signer.Kind { return &kind }

// checkURI says what is wrong with a URI besides its attributes' names.
func checkURI(u signer.URI) string {
	if s, ok := u.Attr("serial"); ok {
		for _, c := range s {
			if c < '0' || c > '9' {
				return fmt.Sprintf("serial %q is not a decimal number", s)
			}
		}
		if len(s) > 10 {
			return fmt.Sprintf("serial %q is longer than a card's serial number", s)
		}
	}
	if s, ok := u.Attr("slot"); ok && !validSlot(s) {
		return fmt.Sprintf("slot %q is none of 9a, 9c, 9d, 9e, 82 to 95", s)
	}
	return ""
}

// validSlot reports whether s names a PIV slot that can hold a signing key:
// 9a, 9c, 9d, 9e or a retired one, 82 to 95 (NIST SP 800-73-4, part 1, table 4b).
func validSlot(s string) bool {
	switch s = strings.ToLower(s); s {
	case "9a", "9c", "9d", "9e":
		return true
	}
	return len(s) == 2 && s >= "82" && s <= "95" && strings.Contains("0123456789abcdef", s[1:])
}
