package pkcs11_test

import (
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/signer/pkcs11"
)

func TestURIsThatAreRefused(t *testing.T) {
	t.Parallel()
	for in, because := range map[string]string{
		"pkcs11:type=banana": "is none of public", "pkcs11:slot-id=0x1": "is not a decimal number", "pkcs11:?module-path=/a&module-name=b": "exclude",
		"pkcs11:?module-path=a.so": "absolute", "pkcs11:?module-path=lib/a.so": "absolute", "pkcs11:?module-name=../a": "separator",
		"pkcs11:?module-name=a%5Cb": "separator",
	} {
		if _, err := pkcs11.Kind().Parse(in); err == nil || !strings.Contains(err.Error(), because) {
			t.Errorf("%s: %v, want %q", in, err, because)
		}
	}
}
