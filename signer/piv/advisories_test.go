package piv

import (
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/signer"
)

// TestAdvice is the table of flaws, firmware by firmware: which are told of a kind of
// key, and which forbid making one.
func TestAdvice(t *testing.T) {
	for _, tt := range []struct {
		firmware string
		alg      signer.Algorithm
		told     string // of the advisories, in order
		forbids  string
	}{
		{"4.2.5", signer.RSA2048, "", ""},
		{"4.2.5", signer.P256, "YSA-2024-03", ""},
		{"4.2.6", signer.RSA2048, "YSA-2017-01", "YSA-2017-01"},
		{"4.3.4", signer.RSA2048, "YSA-2017-01", "YSA-2017-01"},
		{"4.3.4", signer.P256, "YSA-2024-03", ""},
		{"4.3.4", "", "YSA-2017-01 YSA-2024-03", "YSA-2017-01"},
		{"4.3.5", signer.RSA2048, "", ""},
		{"4.3.7", "", "YSA-2024-03", ""},
		{"5.4.3", signer.P256, "YSA-2024-03", ""},
		{"5.4.3", signer.RSA3072, "", ""},
		{"5.6.9", signer.P256, "YSA-2024-03", ""},
		{"5.7.0", signer.P256, "", ""},
		{"5.7.4", "", "", ""},
		{"10.0.0", "", "", ""},
	} {
		v, ok := parseVersion(tt.firmware)
		if !ok {
			t.Fatalf("%q is not read", tt.firmware)
		}
		var told []string
		for _, s := range advice(v, tt.alg) {
			for _, a := range advisories() {
				if strings.Contains(s, a.id) {
					told = append(told, a.id)
				}
			}
			if !strings.Contains(s, "firmware "+tt.firmware) || len(s) < 80 {
				t.Errorf("%s %s: %q names no reason", tt.firmware, tt.alg, s)
			}
		}
		if got := strings.Join(told, " "); got != tt.told {
			t.Errorf("%s %s: told of %q, want %q", tt.firmware, tt.alg, got, tt.told)
		}
		if got := forbidden(v, tt.alg); got != tt.forbids {
			t.Errorf("%s %s: forbidden for %q, want %q", tt.firmware, tt.alg, got, tt.forbids)
		}
	}
	for _, bad := range []string{"", "5.4", "5.4.x", "5.4.3.1"} {
		if _, ok := parseVersion(bad); ok {
			t.Errorf("%q was read as a version", bad)
		}
	}
}
