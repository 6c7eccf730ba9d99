//go:build cgo

package pkcs11_test

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/signer"
	"github.com/fleet-hsm/fleet-hsm/signer/pkcs11"
)

// A report says in which forms a module answers, and nothing of whose token it is.
func TestReport(t *testing.T) {
	f := newFake(t)
	made := generate(t, f.Token, "a-name-of-ours", signer.P256)
	id, _ := made.URI.Attr("id")
	b := backend(t, f.Module)
	tokens, err := b.Tokens(t.Context(), pkcs11.Kind().URI())
	if err != nil || len(tokens) == 0 {
		t.Fatal(err)
	}
	f.set("hide_attr=0x100", "raw_points=1")
	reports, err := b.Report(t.Context(), pkcs11.Kind().URI())
	if err != nil || len(reports) < 2 {
		t.Fatalf("%v, %v", reports, err)
	}
	var text strings.Builder
	for _, r := range reports {
		text.WriteString(r.Device + "\n")
		for _, fact := range r.Facts {
			text.WriteString(fact.Name + ": " + fact.Value + "\n")
		}
	}
	t.Log(text.String())
	for _, want := range []string{"quirks.so", "SoftHSM", "CKM_ECDSA", "login-required", "CKA_EC_POINT 65 bytes, beginning 04", "CKA_KEY_TYPE CKR_ATTRIBUTE_TYPE_INVALID", "CKA_EC_PARAMS 06082a8648ce3d030107"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is not in the report", want)
		}
	}
	point, _ := made.Public[0].(interface{ Bytes() ([]byte, error) }).Bytes()
	for what, secret := range map[string]string{
		"label of a key": "a-name-of-ours", "serial number": tokens[0].Serial, "ID": hex.EncodeToString([]byte(id)),
		"public key": hex.EncodeToString(point[1:9]), "folder": f.Token.Dir, "PIN": f.PIN,
	} {
		if secret == "" || strings.Contains(text.String(), secret) {
			t.Errorf("the %s %q is in the report", what, secret)
		}
	}
	if f.calls("C_Login") != 0 {
		t.Error("a report logged in")
	}
}
