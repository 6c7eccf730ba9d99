package signer_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/signer"
	"github.com/fleet-hsm/fleet-hsm/signer/file"
	"github.com/fleet-hsm/fleet-hsm/signer/piv"
	"github.com/fleet-hsm/fleet-hsm/signer/pkcs11"
)

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		name, in, canonical string
		attrs, query        map[string]string
		opaque              string
	}{
		{name: "a token's key", in: "pkcs11:token=fleet;object=targets", canonical: "pkcs11:token=fleet;object=targets",
			attrs: map[string]string{"token": "fleet", "object": "targets"}},
		{name: "sorted, scheme and names in small letters", in: "PKCS11:Object=a;TYPE=private;token=b", canonical: "pkcs11:token=b;object=a;type=private"},
		{name: "the query is not shown", in: "pkcs11:token=a?pin-source=file:/run/pin&module-path=/x.so", canonical: "pkcs11:token=a",
			query: map[string]string{"pin-source": "file:/run/pin", "module-path": "/x.so"}},
		{name: "plus is plus", in: "pkcs11:token=a+b", canonical: "pkcs11:token=a+b", attrs: map[string]string{"token": "a+b"}},
		{name: "percent encoding", in: "pkcs11:token=two%20words%3b", canonical: "pkcs11:token=two%20words%3B", attrs: map[string]string{"token": "two words;"}},
		{name: "id is bytes", in: "pkcs11:id=%00%ffa", canonical: "pkcs11:id=%00%ff%61", attrs: map[string]string{"id": "\x00\xffa"}},
		{name: "id without percent signs is bytes too", in: "pkcs11:id=0102", canonical: "pkcs11:id=%30%31%30%32", attrs: map[string]string{"id": "0102"}},
		{name: "equals and ampersand in a path value", in: "pkcs11:token=a=b&c", canonical: "pkcs11:token=a%3Db%26c", attrs: map[string]string{"token": "a=b&c"}},
		{name: "a question mark in a query value", in: "pkcs11:?pin-source=file:/a?b", canonical: "pkcs11:", query: map[string]string{"pin-source": "file:/a?b"}},
		{name: "not only ASCII", in: "pkcs11:token=größe", canonical: "pkcs11:token=gr%C3%B6%C3%9Fe", attrs: map[string]string{"token": "größe"}},
		{name: "a vendor's attribute", in: "pkcs11:token=a;x-vendor=1", canonical: "pkcs11:token=a;x-vendor=1"},
		{name: "an empty label", in: "pkcs11:token=a;object=", canonical: "pkcs11:token=a;object=", attrs: map[string]string{"object": ""}},
		{name: "a separator at the end", in: "pkcs11:token=a;", canonical: "pkcs11:token=a"},
		{name: "every kind of object", in: "pkcs11:type=secret-key", canonical: "pkcs11:type=secret-key"},
		{name: "nothing but the scheme", in: "pkcs11:", canonical: "pkcs11:"},
		{name: "a card", in: "piv:serial=15835999;slot=9C", canonical: "piv:serial=15835999;slot=9c"},
		{name: "a card by another name", in: "yubikey:slot=9a;serial=1", canonical: "piv:serial=1;slot=9a"},
		{name: "a file", in: "file:keys/root.json", canonical: "file:keys/root.json", opaque: "keys/root.json"},
		{name: "a file with a source", in: "file:keys/root.json?pin-source=env:X", canonical: "file:keys/root.json", opaque: "keys/root.json", query: map[string]string{"pin-source": "env:X"}},
		{name: "a file with odd characters", in: "file:a%20b/c%3Fd;e", canonical: "file:a%20b/c%3Fd%3Be", opaque: "a b/c?d;e"},
		{name: "an absolute file", in: "file:/etc/k.json", canonical: "file:/etc/k.json", opaque: "/etc/k.json"},
		{name: "an absolute file with an empty host", in: "file:///etc/k.json", canonical: "file:/etc/k.json", opaque: "/etc/k.json"},
		{name: "an absolute file with a slash too many", in: "file:////etc/k.json", canonical: "file:/etc/k.json", opaque: "/etc/k.json"},
		{name: "a public part", in: "pub:spare.json", canonical: "pub:spare.json", opaque: "spare.json"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u, err := parse(tt.in)
			if err != nil {
				t.Fatal(err)
			}
			if got := u.String(); got != tt.canonical {
				t.Errorf("canonical form %q, want %q", got, tt.canonical)
			}
			if u.Opaque != tt.opaque {
				t.Errorf("path %q, want %q", u.Opaque, tt.opaque)
			}
			for name, want := range tt.attrs {
				if got, ok := u.Attr(name); !ok || got != want {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
			for name, want := range tt.query {
				if got, ok := u.Query(name); !ok || got != want {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
			again, err := parse(u.String())
			if err != nil || again.String() != u.String() {
				t.Errorf("the canonical form %q does not come back: %q, %v", u, again, err)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for _, tt := range []struct{ name, in, because string }{
		{"no scheme", "keys/root.json", "no scheme"},
		{"nothing", "", "no scheme"},
		{"another scheme", "awskms:alias", "unknown scheme"},
		{"an unknown attribute", "pkcs11:tokn=a", `"tokn"`},
		{"an unknown query attribute", "pkcs11:token=a?pinsource=file:x", "pin"},
		{"a query attribute in the path", "pkcs11:token=a;pin-source=file:x", `"pin-source"`},
		{"a repeated attribute", "pkcs11:token=a;token=b", "twice"},
		{"a repeated attribute in other letters", "pkcs11:token=a;Token=b", "twice"},
		{"a repeated query attribute", "pkcs11:?pin-source=env:a&pin-source=env:b", "twice"},
		{"a fragment", "pkcs11:token=a#b", "fragment"},
		{"no value", "pkcs11:token", "name=value"},
		{"no name", "pkcs11:=a", "name=value"},
		{"two separators", "pkcs11:token=a;;object=b", "name=value"},
		{"two separators at the end", "pkcs11:token=a;;", "name=value"},
		{"half an escape", "pkcs11:token=a%2", "percent"},
		{"a bad escape", "pkcs11:token=a%zz", "percent"},
		{"a bare percent sign", "pkcs11:token=100%", "percent"},
		{"a label that is not UTF-8", "pkcs11:token=%ff", "UTF-8"},
		{"a NUL in a label", "pkcs11:token=a%00", "NUL"},
		{"an empty id", "pkcs11:id=", "empty"},
		{"an empty source", "pkcs11:token=a?pin-source=", "empty"},
		{"an unknown type", "pkcs11:type=banana", "type"},
		{"a slot that is no number", "pkcs11:slot-id=0x1", "slot-id"},
		{"two modules", "pkcs11:?module-path=/a&module-name=b", "exclude"},
		{"a relative module", "pkcs11:?module-path=a.so", "absolute"},
		{"a module below this folder", "pkcs11:?module-path=lib/a.so", "absolute"},
		{"a path as a name", "pkcs11:?module-name=../a", "separator"},
		{"a command in the URI", "pkcs11:?pin-source=|cat", "command"},
		{"a command by its name", "pkcs11:?pin-source=CMD:cat", "command"},
		{"a command for a file", "file:a?pin-source=%7Ccat", "command"},
		{"a card's serial in hex", "piv:serial=0x12", "serial"},
		{"a serial too long", "piv:serial=12345678901", "serial"},
		{"a slot that does not sign", "piv:slot=9b", "slot"},
		{"a slot in between", "piv:slot=96", "slot"},
		{"a module for a card", "piv:?module-path=/a", `"module-path"`},
		{"no file", "file:", "path"},
		{"a host", "file://keys/root.json", "host"},
		{"a query of a public part", "pub:a?pin-source=env:x", `"pin-source"`},
		{"a control character", "pkcs11:token=a\nb", "control"},
		{"not UTF-8", "pkcs11:token=\xff", "UTF-8"},
		{"endless", "pkcs11:token=" + strings.Repeat("a", 8192), "longer"},
		{"endless once it is written again", "pkcs11:id=" + strings.Repeat("a", 8192/2), "canonical form"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u, err := parse(tt.in)
			var e *signer.URIError
			if !errors.As(err, &e) {
				t.Fatalf("%q became %q, %v", tt.in, u, err)
			}
			if !strings.Contains(err.Error(), tt.because) {
				t.Errorf("the error does not say %q: %v", tt.because, err)
			}
			if !u.IsZero() {
				t.Error("a signer.URI came with the error")
			}
		})
	}
}

// A PIN in a signer.URI is refused, and the error does not repeat it.
func TestParseNeverShowsAPIN(t *testing.T) {
	for _, in := range []string{
		"pkcs11:token=a?pin-value=7531642",
		"pkcs11:token=a?PIN-VALUE=7531642",
		"pkcs11:token=a;pin-value=7531642",
		"pkcs11:token=a?pin%2dvalue=7531642",
		"pkcs11:token=a?pin-value=75#31642",
		"pkcs11:token=a?pin-value=a;b&c?7531642",
		"pkcs11:token=a?pin=7531642",
		"pkcs11:token=a?user-pin=7531642",
		"pkcs11:token=a?pin-value:7531642",
		"pkcs11:token=a?pin-value 7531642",
		"pkcs11:token=a?pin-source=env:a&pin-value=7531642",
		"piv:serial=1?pin-value=7531642",
		"file:a?pin-value=7531642",
		"pkcs11:pin-value=7531642%zz",
	} {
		_, err := parse(in)
		if err == nil {
			t.Errorf("%q was taken", in)
		} else if strings.Contains(err.Error(), "31642") {
			t.Errorf("the error shows the PIN: %v", err)
		}
	}
}

func TestURIWith(t *testing.T) {
	u, err := parse("pkcs11:token=a?pin-source=env:X")
	if err != nil {
		t.Fatal(err)
	}
	v := u.With("id", "\x01")
	if got := v.String(); got != "pkcs11:token=a;id=%01" {
		t.Errorf("%s", got)
	}
	if _, ok := u.Attr("id"); ok {
		t.Error("With changed the signer.URI it was called on")
	}
	if src, _ := v.Query("pin-source"); src != "env:X" {
		t.Errorf("the query was lost: %q", src)
	}
	if (signer.URI{}).String() != "" || !(signer.URI{}).IsZero() || signer.FileURI("a b").String() != "file:a%20b" {
		t.Error("the zero signer.URI or a file's")
	}
}

// kinds are those of the program.
func kinds() signer.Kinds {
	return signer.Kinds{file.Kind(), signer.PublicPart(), pkcs11.Kind(), piv.Kind()}
}

func parse(s string) (signer.URI, error) { return kinds().Parse(s) }
