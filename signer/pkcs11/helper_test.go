//go:build cgo

package pkcs11_test

import (
	"context"
	"fmt"
	"os"

	"github.com/fleet-hsm/fleet-hsm/signer"
	"github.com/fleet-hsm/fleet-hsm/signer/pkcs11"
	"github.com/fleet-hsm/fleet-hsm/signer/signertest"
)

// oneShotVar turns this test binary into a program that signs once, as a command does
// in a script: start, load, log in, find, sign, verify, close, exit. Its value is the
// module; the URI and the name of the PIN file follow as arguments.
const oneShotVar = "FLEET_HSM_TEST_ONE_SHOT"

// helperProcess runs such a program if this process is one.
func helperProcess() (done bool, code int) {
	module := os.Getenv(oneShotVar)
	if module == "" {
		return false, 0
	}
	if err := oneShot(module, os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return true, 1
	}
	return true, 0
}

func oneShot(module, uri, pinFile string) error {
	pin, err := os.ReadFile(pinFile)
	if err != nil {
		return err
	}
	u, err := pkcs11.Kind().Parse(uri)
	if err != nil {
		return err
	}
	b := pkcs11.New(pkcs11.Options{Module: module, Timeout: timeout})
	defer b.Close()
	ui := signertest.NewUI(signer.PIN, string(pin[:len(pin)-1]))
	s, err := b.Open(context.Background(), signer.Ref{URI: u}, ui)
	if err != nil {
		return err
	}
	if _, err = s.Sign(context.Background(), []byte("one shot")); err != nil {
		return err
	}
	return s.Close()
}
