package locator

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

// Attacks are the texts that no locator can hold.
var attacks = []string{
	"pkcs11:token=x?module-path=/proc/self/cwd/.evil.so", "pkcs11:token=x?module-name=evil", "pkcs11:token=x?",
	"pkcs11:token=x?pin-source=file:/etc/passwd", "pkcs11:?module-path=/x.so", "piv:serial=1;slot=9c?pin-source=/etc/passwd",
	"pkcs11:token=x;module-path=/x.so", "pkcs11:token=x;pin-value=1234", "pkcs11:token=x;x-module=/x.so", "pkcs11:module-name=x",
	"pkcs11:token=x;library-description=evil", "pkcs11:token=x;slot-id=1", "file:/etc/passwd?pin-source=file:/etc/passwd",
	"pkcs11:token=x#?module-path=/x.so", "pkcs11", "pkcs11:", "piv:", "PKCS11:token=x", "x-y:token=y", "0x:token=y", ":token=x", "file:a=b", "file:a;b",
	"pkcs11:token=a\x1b[2J", "pkcs11:token=a b", "pkcs11:token=a%", "pkcs11:token=a%0", "pkcs11:token=a%zz", "pkcs11:token=a;token=b",
	"pkcs11:token=a;", "pkcs11:;token=a", "pkcs11:=a", "pkcs11:token=/etc/passwd", "abcdefghijklmnopq:token=a",
	"cmd:touch%20x", "cmd:true", "env:PIN", "fd:3", "cmd:token=x",
	"pkcs11:token=a\u202e", "pkcs11:token=" + strings.Repeat("x", most),
}

// A locator holds nothing that loads, opens or reads anything, however it is written.
func TestNothingElseIsHeld(t *testing.T) {
	t.Parallel()
	for _, s := range attacks {
		l, err := Parse(s)
		var e *Error
		if !l.IsZero() || !errors.As(err, &e) {
			t.Errorf("%q is taken: %q, %v", s, l, err)
		}
		text, _ := json.Marshal(s)
		if err := json.Unmarshal(text, &l); err == nil || !l.IsZero() {
			t.Errorf("%q is taken from JSON", s)
		}
	}
	for _, s := range []string{"", "file:/etc/passwd", "file:///etc/passwd", "pub:/etc/passwd", "pkcs11:token"} {
		if l, err := Parse(s); err != nil || !l.IsZero() {
			t.Errorf("%q: %q, %v; want nothing", s, l, err)
		}
	}
	for _, s := range []string{"pkcs11:token=a%3Fmodule-path%3Db;id=%01%ff;object=k", "piv:serial=15835999;slot=9c", "piv:reader=ACME%20Card;slot=9c"} {
		if l, err := Parse(s); err != nil || l.String() != s {
			t.Errorf("%q: %q, %v", s, l, err)
		}
	}
}

func TestWhatIsTold(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"pkcs11:token=x;object=k": "pkcs11:token=x;object=k", "pkcs11:token=x?module-path=/m.so": "", "pkcs11:token=" + strings.Repeat("x", most): "",
		"file:keys/root.json": "", "pub:a.pub": "", "piv:reader=ACME;slot=9c": "piv:reader=ACME;slot=9c", "pkcs11:slot-id=1": "", "": "",
	} {
		if l := Of(in); l.String() != want {
			t.Errorf("%q: %q, want %q", in, l, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range attacks {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		l, err := Parse(s)
		if err != nil || l.IsZero() {
			return
		}
		if strings.ContainsAny(l.String(), "?#/ ") || strings.Contains(strings.ToLower(l.String()), "module") && !strings.Contains(l.String(), "=") {
			t.Errorf("%q is %q", s, l)
		}
		if Of(l.String()) != l {
			t.Errorf("%q is told as %q", l, Of(l.String()))
		}
	})
}
