package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/fleet-hsm/fleet-hsm/signer"
)

func (a *app) keyPasswdCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "passwd ROLE|file:PATH",
		Short: "Give a key file a new passphrase",
		Long: `passwd asks for the present passphrase ($FLEET_<ROLE>_PASSPHRASE or the terminal) and
for the new one ($FLEET_NEW_<ROLE>_PASSPHRASE or the terminal, twice). All keys of a
file share one passphrase. Old copies of the file keep the old one.`,
		Example: `  fleet-hsm key passwd targets
  fleet-hsm key passwd file:keys/root.json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.runKeyPasswd(cmd.Context(), args[0]) },
	}
}

func (a *app) runKeyPasswd(ctx context.Context, arg string) error {
	keys, err := a.plain()
	if err != nil {
		return err
	}
	u, roles, err := a.keyArg(arg)
	if err != nil {
		return err
	}
	if !u.Kind().Sealed {
		return usagef("%q is not a key file; a token's PIN is changed with its maker's tool", u)
	}
	ui := a.person()
	ui.Changing = true
	if err := keys.Files.Passwd(ctx, signer.Ref{URI: u, Roles: roles}, ui); err != nil {
		return err
	}
	a.note("%s has a new passphrase", u)
	return a.report("key passwd", nil)
}
