//go:build cgo

package piv

import (
	"errors"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/internal/wiresig"
	"github.com/fleet-hsm/fleet-hsm/signer"
	soft "github.com/fleet-hsm/fleet-hsm/softpiv/card"
)

// When piv.Open fails after connecting, the connection is lost until the process
// ends. Tests of that have a process each.

const envAlone = "PIV_TEST_ALONE"

// alone runs the calling test in a process of its own, with an argument, and
// reports whether this is the process that did so. In the child it is false.
func alone(t *testing.T, arg string) bool {
	t.Helper()
	if _, child := os.LookupEnv(envAlone); child {
		return false
	}
	child(t, arg, without("SOFTPIV_SOCKET"))
	return true
}

// aloneWithDaemon is alone in a process that has the real libpcsclite.
func aloneWithDaemon(t *testing.T) bool {
	t.Helper()
	if _, child := os.LookupEnv(envAlone); child {
		return false
	}
	child(t, "daemon", without("SOFTPIV_SOCKET", "SOFTPIV_STUB", "LD_LIBRARY_PATH"))
	return true
}

func child(t *testing.T, arg string, env []string) {
	t.Helper()
	self := must(os.Executable())(t)
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^"+t.Name()+"$", "-test.timeout=120s")
	cmd.Env = append(env, envAlone+"="+arg)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("with %q: %v\n%s", arg, err, out)
	}
}

// without is the environment of this process without some names.
func without(names ...string) []string {
	return slices.DeleteFunc(os.Environ(), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return slices.Contains(names, name)
	})
}

// TestResetAtEveryCommand: somebody else resets the card. The signature is made all
// the same, unless a PIN was under way or piv-go lost the connection.
func TestResetAtEveryCommand(t *testing.T) {
	n, err := strconv.Atoi(os.Getenv(envAlone))
	if err != nil {
		for n := range 14 {
			alone(t, strconv.Itoa(n))
		}
		return
	}
	c, ref := oneCard(t, soft.Config{})
	b := newBackend(t, Options{BusyFor: 200e6})
	c.ResetAfter(n)
	sig, err := openAndSign(t.Context(), b, ref)
	selecting := n == 0 || n == 5 || n == 10 // SELECT of the three visits
	switch {
	case err == nil:
		if err := wiresig.Verify(ref.Pinned, []byte("root"), sig); err != nil {
			t.Error(err)
		}
	case selecting && !strings.Contains(err.Error(), "this process itself"):
		t.Errorf("error is %v, want one that says who holds the card", err)
	case errors.Is(err, signer.ErrDevice):
	default:
		t.Errorf("error is %v", err)
	}
	if c.PINLeft() != 3 {
		t.Errorf("%d tries left", c.PINLeft())
	}
	if err == nil && selecting {
		t.Errorf("command %d is not a SELECT any more: the test looks at the wrong ones", n)
	}
	if !selecting && n < 13 && err != nil && !errors.Is(err, signer.ErrDevice) {
		t.Error(err)
	}
}
