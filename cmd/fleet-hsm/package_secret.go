package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/fleet-hsm/fleet-hsm/installer"
	"github.com/fleet-hsm/fleet-hsm/prompt"
)

// secretVariable holds an enroll secret, if it is not empty.
const secretVariable = "FLEET_ENROLL_SECRET"

// enrollSecret reads the enroll secret from where it was put; none is a choice too.
func (a *app) enrollSecret(ctx context.Context, o *packageOptions) error {
	variable := os.Getenv(secretVariable)
	switch {
	case o.secret != "" && o.secretFile != "":
		return usagef("--enroll-secret and --enroll-secret-file are the same twice; give the file")
	case o.secret != "":
		a.warn("--enroll-secret: the secret stands in the list of processes and the shell's history; --enroll-secret-file keeps it out of both")
		o.EnrollSecret = o.secret
	case o.secretFile == "-":
		b, err := a.person().Ask(ctx, "enroll secret")
		if err != nil {
			return fmt.Errorf("enroll secret: %w", err)
		}
		o.EnrollSecret = string(b)
	case o.secretFile != "":
		b, err := prompt.ReadFile(ctx, o.secretFile)
		if err != nil {
			return &installer.Error{Kind: installer.Option, About: "--enroll-secret-file", Text: fmt.Sprintf("%q gives no secret", o.secretFile), Err: errors.Unwrap(err)}
		}
		o.EnrollSecret = string(b)
	case variable != "":
		a.note("the enroll secret comes from %s", secretVariable)
		o.EnrollSecret = variable
	}
	return nil
}
