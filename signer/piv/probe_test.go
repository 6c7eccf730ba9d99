//go:build cgo

package piv

import (
	"slices"
	"strings"
	"testing"

	yk "github.com/go-piv/piv-go/v2/piv"

	"github.com/fleet-hsm/fleet-hsm/signer"
	soft "github.com/fleet-hsm/fleet-hsm/softpiv/card"
)

// TestProbeFirmware: an old card that signs is no problem; doctor warns, says why, and
// goes on. A key that can be computed from its public part is one.
func TestProbeFirmware(t *testing.T) {
	rsa := quick()
	rsa.Algorithm = yk.AlgorithmRSA2048
	for _, tt := range []struct {
		name     string
		firmware [3]byte
		key      yk.Key
		warns    string
		problem  bool
	}{
		{"current", [3]byte{5, 7, 1}, quick(), "", false},
		{"P-256 before 5.7", [3]byte{5, 4, 3}, quick(), "YSA-2024-03", false},
		{"P-256 on a YubiKey 4", [3]byte{4, 3, 7}, quick(), "YSA-2024-03", false},
		{"RSA before 5.7", [3]byte{5, 4, 3}, rsa, "", false},
		{"P-256 where RSA is weak", [3]byte{4, 3, 4}, quick(), "YSA-2024-03", false},
		{"weak RSA", [3]byte{4, 3, 4}, rsa, "YSA-2017-01", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newCard(t, soft.Config{Serial: 1, Firmware: tt.firmware})
			provision(t, plug(t, c)[0], yk.SlotSignature, tt.key)
			found := newBackend(t, Options{}).Probe(t.Context(), signer.Ref{URI: uri(t, "piv:serial=1;slot=9c")})
			warned, problem := false, false
			for _, f := range found {
				if f.Code != "card-firmware" {
					continue
				}
				problem = problem || !f.OK
				if f.OK && f.Warning && tt.warns != "" && strings.Contains(f.Text, tt.warns) {
					warned = true
				}
			}
			if warned != (tt.warns != "") || problem != tt.problem {
				t.Errorf("warned of %q: %v; a problem: %v, want %v; %+v", tt.warns, warned, problem, tt.problem, found)
			}
		})
	}
}

// TestSetupOldFirmware: where no key can be made, nothing is changed first.
func TestSetupOldFirmware(t *testing.T) {
	c := newCard(t, soft.Config{Serial: 1, Firmware: [3]byte{4, 2, 4}})
	reader := plug(t, c)[0]
	ui := setupUI()
	_, err := newBackend(t, Options{}).Setup(t.Context(), uri(t, "piv:serial=1"), signer.SetupOptions{Reset: true}, ui)
	if err == nil || !strings.Contains(err.Error(), "firmware 4.2.4") || len(ui.Secrets()) != 0 {
		t.Errorf("error is %v, asked for %d secrets", err, len(ui.Secrets()))
	}
	raw(t, reader, func(y *yk.YubiKey) {
		if err := y.VerifyPIN(yk.DefaultPIN); err != nil {
			t.Errorf("the card is not as it was: %v", err)
		}
	})
	tokens := must(newBackend(t, Options{}).Tokens(t.Context(), uri(t, "piv:")))(t)
	if !slices.ContainsFunc(tokens[0].Warnings, func(s string) bool { return strings.Contains(s, "before 4.3") }) {
		t.Errorf("token list says nothing of it: %q", tokens[0].Warnings)
	}
}
