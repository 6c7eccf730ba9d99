package main

import (
	"github.com/spf13/cobra"

	"github.com/fleet-hsm/fleet-hsm/keyring"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

func (a *app) keyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "key",
		Short: "Show, make and look after keys",
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.keyListCommand(), a.keyShowCommand(), a.keyPasswdCommand(), a.keyExportCommand(),
		a.keyGenerateCommand(), a.keyAttestCommand())
	return cmd
}

// plain opens the configuration and the keychain for key and token commands, which
// need no repository.
func (a *app) plain() (*keyring.Ring, error) {
	if err := a.checkPath(); err != nil {
		return nil, err
	}
	if _, err := a.config(); err != nil {
		return nil, err
	}
	return a.keychain()
}

// keyArg reads what a person names a key by: a URI, a name, a serial number or a key ID,
// or a role whose key file is meant.
func (a *app) keyArg(s string) (signer.URI, []string, error) {
	if meta.IsRole(s) {
		return keyring.RoleFile(s), []string{s}, nil
	}
	keys, err := a.keychain()
	if err != nil {
		return signer.URI{}, nil, err
	}
	u, err := keys.Parse(s)
	if err != nil {
		return signer.URI{}, nil, err
	}
	return u, keyring.RolesOfFile(u), nil
}
