//go:build cgo

package pcsc_test

import (
	"os"
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/softpiv/card"
)

// TestYKMan: Yubico's own manager (Debian package yubikey-manager) does with the card
// all that its PIV pages can do and fleet-hsm's users do. It is Python and called 45
// times, so it runs only with FLEET_HSM_LONG=1.
func TestYKMan(t *testing.T) {
	if os.Getenv("FLEET_HSM_LONG") == "" {
		t.Log("a minute long: only with FLEET_HSM_LONG=1")
		return
	}
	t.Parallel()
	need(t, "ykman")
	for _, v := range firmwares() {
		t.Run(versionOf(v), func(t *testing.T) {
			t.Parallel()
			c := newCard(t, card.Config{Firmware: v, Serial: 15835999})
			b := serve(t, c)
			b.env = append(b.env, "HOME="+b.dir, "XDG_DATA_HOME="+b.dir)
			if out := b.run("ykman", "list"); !strings.Contains(out, "Serial: 15835999") {
				t.Errorf("list: %s", out)
			}
			b.manage()
			if out := b.run("ykman", "--reader", "Yubi", "piv", "info"); !strings.Contains(out, "protected by PIN") || !strings.Contains(out, "CN=root") {
				t.Errorf("info: %s", out)
			}
			b.run("ykman", "--reader", "Yubi", "piv", "reset", "-f")
			if c.PINLeft() != 3 || c.PUKLeft() != 3 {
				t.Errorf("after the reset: %d and %d tries", c.PINLeft(), c.PUKLeft())
			}
			b.run("ykman", "--reader", "Yubi", "piv", "access", "set-retries", "-m", factoryHex, "-P", "123456", "-f", "5", "4")
			if c.PINLeft() != 5 || c.PUKLeft() != 4 {
				t.Errorf("%d and %d tries, want 5 and 4", c.PINLeft(), c.PUKLeft())
			}
		})
	}
}

// factoryHex is the management key of a new card.
const factoryHex = "010203040506070801020304050607080102030405060708"

// manage generates, attests, certifies and changes secrets, the management key going
// behind the PIN.
func (b bench) manage() {
	b.Helper()
	piv := func(args ...string) {
		b.Helper()
		b.run(append([]string{"ykman", "--reader", "Yubi", "piv"}, args...)...)
	}
	piv("keys", "generate", "-m", factoryHex, "-P", "123456", "-a", "ECCP256", "--pin-policy", "ALWAYS", "--touch-policy", "ALWAYS", "9c", "9c.pub")
	piv("keys", "attest", "9c", "9c.pem")
	b.run("ykman", "--reader", "Yubi", "piv", "certificates", "generate", "-m", factoryHex, "-P", "123456", "-s", "CN=root", "9c", "9c.pub")
	piv("certificates", "export", "9c", "self.pem")
	self := parsePEM(b, b.read("self.pem"))
	if err := self.CheckSignature(self.SignatureAlgorithm, self.RawTBSCertificate, self.Signature); err != nil {
		b.Errorf("certificate signed on the card: %v", err)
	}
	piv("access", "change-management-key", "-m", factoryHex, "-P", "123456", "--protect", "--generate", "-f")
	piv("access", "change-pin", "-P", "123456", "-n", "271828")
	piv("access", "change-puk", "-p", "12345678", "-n", "31415926")
	piv("access", "unblock-pin", "-p", "31415926", "-n", "161803")
	piv("certificates", "delete", "-P", "161803", "9c")
	piv("certificates", "import", "-P", "161803", "9c", "self.pem")
}
