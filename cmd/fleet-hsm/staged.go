package main

import "errors"

// stagedError is an error after which a change is staged: the way on is to sign or commit
// that change. The command that made it would stack a second one on it, with new keys.
type stagedError struct {
	err  error
	next string // the command that goes on with the change: sign or commit
}

func (e *stagedError) Error() string { return e.err.Error() }
func (e *stagedError) Unwrap() error { return e.err }

const againSame = "run the command again"

// again says how to try once more what failed.
func again(err error) string {
	var e *stagedError
	if errors.As(err, &e) {
		return `go on with "fleet-hsm ` + e.next + `"`
	}
	return againSame
}
