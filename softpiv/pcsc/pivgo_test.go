//go:build cgo

package pcsc_test

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/softpiv/card"
)

// What piv-go's own hardware tests may skip or fail. Everything else must pass.
func pivGoExpected(v [3]byte) (skips, failures []string) {
	skips = []string{ // fingerprint readers are not modelled
		"TestPINPolicyMatchOnceIntegration", "TestPINPolicyMatchAlwaysTwoVerifications", "TestPINPolicyMatchOnceSingleVerification",
	}
	if v == [3]byte{5, 7, 1} {
		return skips, nil
	}
	skips = append(skips, // the tests themselves demand 5.7
		"TestYubiKeySignEd25519", "TestYubiKeySignRSA/rsa3072", "TestYubiKeySignRSA/rsa4096", "TestYubiKeySignRSAPSS/rsa3072",
		"TestYubiKeySignRSAPSS/rsa4096", "TestYubiKeyDecryptRSA/rsa3072", "TestYubiKeyDecryptRSA/rsa4096",
		"TestYubiKeyGenerateKey/rsa_3072", "TestYubiKeyGenerateKey/rsa_4096", "TestYubiKeyGenerateKey/ed25519")
	failures = []string{"TestYubiKeyX25519ECDH"} // it forgot to: old cards have no X25519
	if v[0] == 4 {
		return append(skips, "TestKeyInfo", "TestPINPolicy"), failures // they demand 5.3
	}
	for _, origin := range []string{"Generated", "Imported"} {
		skips = append(skips, "TestKeyInfo/"+origin+"_rsa_3072", "TestKeyInfo/"+origin+"_rsa_4096")
	}
	return append(skips, "TestKeyInfo/Generated_ed25517", "TestKeyInfo/Generated_x25517",
		"TestKeyInfo/Imported_ed25519", "TestKeyInfo/Imported_x25519"), failures
}

// TestPIVGoSuite runs piv-go's hardware tests against the card.
func TestPIVGoSuite(t *testing.T) {
	t.Parallel()
	ca, err := card.NewCA("")
	if err != nil {
		t.Fatal(err)
	}
	suite := buildPIVGoSuite(t, ca)
	for _, v := range firmwares() {
		t.Run(versionOf(v), func(t *testing.T) {
			t.Parallel()
			b := serve(t, newCard(t, card.Config{Firmware: v, CA: ca}))
			// The suite tries RSA-512, which crypto/rsa refuses by default.
			b.env = append(b.env, "GODEBUG=rsa1024min=0")
			out, _ := b.try(suite, "-wipe-yubikey", "-test.v")
			skips, failures := pivGoExpected(v)
			judge(t, out, "SKIP", skips)
			judge(t, out, "FAIL", failures)
			if got := len(results(out, "PASS")); got < 40 {
				t.Errorf("only %d tests passed:\n%s", got, out)
			}
		})
	}
}

// results lists the tests with an outcome.
func results(out, outcome string) []string {
	names := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^ *--- `+outcome+`: (\S+) `).FindAllStringSubmatch(out, -1) {
		names[m[1]] = true
	}
	return slices.Sorted(maps.Keys(names))
}

func judge(t *testing.T, out, outcome string, want []string) {
	t.Helper()
	slices.Sort(want)
	if got := results(out, outcome); !slices.Equal(got, want) {
		t.Errorf("%s\n%s, want\n%s\n%s", outcome, strings.Join(got, "\n"), strings.Join(want, "\n"), out)
	}
}

// buildPIVGoSuite compiles the tests of the piv-go that we use, with our authority
// among Yubico's, so that its attestation test judges our attestations.
func buildPIVGoSuite(t *testing.T, ca *card.CA) string {
	t.Helper()
	var piv, crypto struct{ Dir, Version string }
	goList(t, "github.com/go-piv/piv-go/v2", &piv)
	goList(t, "golang.org/x/crypto", &crypto)
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(piv.Dir)); err != nil {
		t.Fatal(err)
	}
	mod := "module github.com/go-piv/piv-go/v2\n\ngo 1.25.0\n\nrequire golang.org/x/crypto " + crypto.Version + "\n"
	replace(t, filepath.Join(dir, "go.mod"), []byte(mod))
	replace(t, filepath.Join(dir, "go.sum"), ourSums(t))
	roots := filepath.Join(dir, "piv", "certs", "yubico-ca-1.pem")
	yubico, err := os.ReadFile(roots)
	if err != nil {
		t.Fatal(err)
	}
	replace(t, roots, append(append(yubico, '\n'), ca.PEM()...))
	suite := filepath.Join(dir, "suite")
	cmd := exec.Command("go", "test", "-c", "-o", suite, "./piv")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building piv-go's tests: %v\n%s", err, out)
	}
	return suite
}

func goList(t *testing.T, module string, into any) {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-json", module).Output()
	if err != nil {
		t.Fatalf("go list %s: %v", module, err)
	}
	if err := json.Unmarshal(out, into); err != nil {
		t.Fatal(err)
	}
}

// ourSums is this module's go.sum: whatever piv-go needs is in it.
func ourSums(t *testing.T) []byte {
	t.Helper()
	mod, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile(strings.TrimSuffix(strings.TrimSpace(string(mod)), ".mod") + ".sum")
	if err != nil {
		t.Fatal(err)
	}
	return sums
}

// replace writes over a file copied from the read-only module cache.
func replace(t *testing.T, path string, data []byte) {
	t.Helper()
	_ = os.Chmod(path, 0o600)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
