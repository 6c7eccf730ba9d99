//go:build cgo

package piv

import (
	"errors"
	"strings"
	"testing"

	yk "github.com/go-piv/piv-go/v2/piv"

	"github.com/fleet-hsm/fleet-hsm/internal/wiresig"
	"github.com/fleet-hsm/fleet-hsm/signer"
	soft "github.com/fleet-hsm/fleet-hsm/softpiv/card"
	"github.com/fleet-hsm/fleet-hsm/softpiv/pcsc"
)

// TestRefusedPolicies: a refusal by status word names what to ask for instead.
func TestRefusedPolicies(t *testing.T) {
	for _, tt := range []struct {
		name string
		cfg  soft.Config
		opts signer.GenerateOptions
		want signer.Option
	}{
		{"touch", soft.Config{OtherVendor: true}, signer.GenerateOptions{}, signer.OptionTouchPolicy},
		{"touch, PivApplet", soft.PivApplet(), signer.GenerateOptions{TouchPolicy: "cached"}, signer.OptionTouchPolicy},
		{"PIN policy", soft.Config{OtherVendor: true, Lacks: soft.PolicyTags}, signer.GenerateOptions{TouchPolicy: "never", PINPolicy: "never"}, signer.OptionPINPolicy},
		{"algorithm", soft.Config{OtherVendor: true}, signer.GenerateOptions{TouchPolicy: "never", Algorithm: signer.RSA4096}, signer.OptionAlgorithm},
		{"algorithm of an old YubiKey", soft.Config{Serial: 1, Firmware: [3]byte{5, 4, 3}}, signer.GenerateOptions{Algorithm: signer.RSA4096}, signer.OptionAlgorithm},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u := uri(t, "piv:").With("reader", plug(t, newCard(t, tt.cfg))[0])
			b, ui := newBackend(t, Options{}), setupUI()
			must(b.Setup(t.Context(), u, signer.SetupOptions{}, ui))(t)
			_, err := b.Generate(t.Context(), signer.Ref{URI: u.With("slot", "9c")}, tt.opts, ui)
			var unsupported *signer.UnsupportedError
			if !errors.As(err, &unsupported) || unsupported.Option != tt.want {
				t.Errorf("error is %v (%+v)", err, unsupported)
			}
		})
	}
}

// TestDenied: the rules of polkit keep this user from the daemon, or from the cards. That is
// not a daemon that is off.
func TestDenied(t *testing.T) {
	c := newCard(t, soft.Config{Serial: 1})
	server := pcsc.Use(t, c)
	for name, d := range map[string]pcsc.Denial{"daemon": pcsc.DenyDaemon, "cards": pcsc.DenyCards} {
		t.Run(name, func(t *testing.T) {
			server.SetDenied(d)
			b := newBackend(t, Options{})
			ui := person(testPIN)
			ui.OnInsert = func(signer.InsertRequest) error { t.Error("asked for a card"); return signer.ErrNoTerminal }
			if _, err := b.Open(t.Context(), ref9c(t), ui); !errors.Is(err, signer.ErrDenied) || errors.Is(err, signer.ErrUnreachable) {
				t.Errorf("open: %v, want ErrDenied", err)
			}
			found := b.Probe(t.Context(), ref9c(t))
			if last := found[len(found)-1]; last.OK || last.Code != "pcsc-denied" || !errors.Is(last.Err, signer.ErrDenied) {
				t.Errorf("probe: %+v", found)
			}
			tokens, err := b.Tokens(t.Context(), uri(t, "piv:"))
			if !errors.Is(err, signer.ErrDenied) {
				t.Errorf("tokens: %+v, %v; want ErrDenied", tokens, err)
			}
		})
	}
}

// TestReport: what is told of each card tells them apart, and is nothing that a person must
// keep to themselves.
func TestReport(t *testing.T) {
	for _, tt := range []struct {
		name string
		cfg  soft.Config
		want []string
	}{
		{"YubiKey", soft.Config{Serial: 15835999, Quirks: soft.PINComplexity}, []string{
			"firmware: 5.7.1", "serial number: told", "metadata of the management key: 9000 01010a02", "PIN complexity: on", "form: USB-A keychain",
			"metadata of slot 9c: algorithm 11, policies 0301, origin 01, public key of 67 bytes", "metadata of slot 9a: 6a88", "attestation of slot 9a: 6a80",
		}},
		{"CanoKey", soft.CanoKey(15835999), []string{"firmware: 5.7.0", "metadata of the management key: 9000 010103", "attestation of slot 9c: 6d00"}},
		{"PivApplet", soft.PivApplet(), []string{"serial number: not told", "metadata of slot 9a: algorithm 00, policies 0201, origin 00, public key of 0 bytes"}},
		{"plain", soft.Config{OtherVendor: true}, []string{"metadata of the management key: 6d00", "metadata of slot 9c: 6d00"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newCard(t, tt.cfg)
			reader := plug(t, c)[0]
			pub := provision(t, reader, yk.SlotSignature, quick())
			reports := must(newBackend(t, Options{}).Report(t.Context(), uri(t, "piv:").With("reader", reader)))(t)
			var lines []string
			for _, f := range reports[0].Facts {
				lines = append(lines, f.Name+": "+f.Value)
			}
			all := strings.Join(lines, "\n")
			for _, want := range tt.want {
				if !strings.Contains(all, want) {
					t.Errorf("no %q in\n%s", want, all)
				}
			}
			for _, secret := range []string{"15835999", "00f1a29f", wiresig.Fingerprint(pub)[:16], testPIN} {
				if strings.Contains(all, secret) {
					t.Errorf("%q is told in\n%s", secret, all)
				}
			}
			if c.PINLeft() < 3 || c.PUKLeft() < 3 {
				t.Error("it cost a try")
			}
		})
	}
}

// TestShielded: an answer that a library falls over is an error of the device, not the end
// of the process.
func TestShielded(t *testing.T) {
	err := shielded(func() error {
		var answer []byte
		_ = answer[2:][0]
		return nil
	})
	if !errors.Is(err, signer.ErrDevice) || !strings.Contains(err.Error(), "cannot be read") {
		t.Errorf("error is %v", err)
	}
}
