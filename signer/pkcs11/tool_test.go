//go:build cgo

package pkcs11_test

import (
	"os"
	"os/exec"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/softhsm"
)

// tool runs OpenSC's pkcs11-tool, the judge that shares no code with us, on a token
// and gives what it printed.
func tool(t testing.TB, tok *softhsm.Token, args ...string) string {
	t.Helper()
	return toolOn(t, tok.Module, append([]string{"--token-label", tok.Label}, args...)...)
}

func toolOn(t testing.TB, module string, args ...string) string {
	t.Helper()
	cmd := exec.Command("pkcs11-tool", append([]string{"--module", module}, args...)...)
	cmd.Env = os.Environ()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("pkcs11-tool (package opensc) %v: %v\n%s", args, err, out)
	}
	return string(out)
}
