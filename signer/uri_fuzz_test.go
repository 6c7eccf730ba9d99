package signer_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/signer"
)

// FuzzParse: an accepted signer.URI has one canonical form that comes back as itself, holds
// no query, and names the same thing.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"pkcs11:token=fleet;object=targets?pin-source=file:/run/pin&module-path=/x.so",
		"pkcs11:id=%00%ff;x-v=%20", "piv:serial=15835999;slot=9c", "yubikey:slot=95", "file:keys/a%3Fb?pin-source=env:X",
		"pub:///x", "pub:////", "pkcs11:token=a;", "pkcs11:?pin-value=1234", "pkcs11:token=%", "PKCS11:Token=A+B&C=D", "file://host/x", "pkcs11:slot-id=18446744073709551615",
		"pkcs11:id=" + strings.Repeat("Q", 3000),
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := parse(s)
		if err != nil {
			var e *signer.URIError
			if !errors.As(err, &e) || e.Reason == "" || !u.IsZero() {
				t.Fatalf("%q: %v", s, err)
			}
			return
		}
		canonical := u.String()
		if strings.Contains(canonical, "?") || strings.Contains(canonical, "#") {
			t.Fatalf("%q has a query or a fragment", canonical)
		}
		for _, r := range canonical {
			if r <= 0x20 || r >= 0x7f {
				t.Fatalf("%q holds %U", canonical, r)
			}
		}
		again, err := parse(canonical)
		if err != nil {
			t.Fatalf("%q became %q, which is refused: %v", s, canonical, err)
		}
		if again.String() != canonical || again.Opaque != u.Opaque || again.Scheme != u.Scheme {
			t.Fatalf("%q became %q and then %q", s, canonical, again)
		}
		for _, name := range append(u.Kind().Attributes(), "x-v") {
			a, okA := u.Attr(name)
			b, okB := again.Attr(name)
			if okA != okB || a != b && name != "slot" {
				t.Fatalf("%s of %q: %q, then %q", name, s, a, b)
			}
		}
		if _, ok := u.Query("pin-value"); ok {
			t.Fatalf("%q holds a PIN", s)
		}
	})
}
