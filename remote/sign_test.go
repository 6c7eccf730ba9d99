package remote

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/online"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

// TestSilentDevice: what a new process may mend, and what it would make worse.
func TestSilentDevice(t *testing.T) {
	wrongPIN := &signer.PINError{Left: 2, Err: signer.ErrDeadline}
	for _, c := range []struct {
		err  error
		want bool
	}{
		{&online.SignError{Need: 1, Err: errors.Join(signer.ErrUnreachable)}, true},
		{&online.SignError{Need: 1, Err: fmt.Errorf("key: %w", signer.ErrDeadline)}, true},
		{&online.SignError{Need: 1, Err: signer.ErrNoToken}, false},
		{&online.SignError{Need: 1, Err: errors.Join(signer.ErrUnreachable, wrongPIN)}, false},
		{&online.StoreError{Err: context.DeadlineExceeded}, false},
	} {
		if got := silentDevice(c.err); got != c.want {
			t.Errorf("%v: %v", c.err, got)
		}
	}
}
