package pkcs11

import (
	"fmt"
	"time"

	"github.com/fleet-hsm/fleet-hsm/signer"
)

// DeadlineError: a call into the module did not come back in time. The module is
// refused as long as the call is out. It matches signer.ErrDeadline.
type DeadlineError struct {
	Doing string // "C_Sign" or what was being done
	After time.Duration
	Path  string // the module
}

func (e *DeadlineError) Error() string {
	return fmt.Sprintf("PKCS#11 module %q did not answer within %v while %s", e.Path, e.After, e.Doing)
}

// Is makes errors.Is(err, signer.ErrDeadline) hold.
func (e *DeadlineError) Is(target error) bool { return target == signer.ErrDeadline }
