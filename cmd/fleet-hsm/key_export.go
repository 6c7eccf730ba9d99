package main

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/fleet-hsm/fleet-hsm/internal/atomicfile"
	"github.com/fleet-hsm/fleet-hsm/keyring"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

func (a *app) keyExportCommand() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "export URI",
		Short: "Write the public part of a key to a file, to be named elsewhere as pub:FILE",
		Example: `  fleet-hsm key export "piv:serial=15835999;slot=9c" -o blue.pub.json
  fleet-hsm key export file:keys/root.json -o root.pub.json
  fleet-hsm rotate root --add pub:blue.pub.json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.runKeyExport(cmd.Context(), args[0], out) },
	}
	cmd.Flags().StringVarP(&out, "output", "o", "", "file to write (default: stdout)")
	return cmd
}

func (a *app) runKeyExport(ctx context.Context, arg, out string) error {
	keys, err := a.plain()
	if err != nil {
		return err
	}
	u, roles, err := a.keyArg(arg)
	if err != nil {
		return err
	}
	pub, at, err := keys.PublicOf(ctx, a.person(), signer.Ref{URI: u, Roles: roles})
	if err != nil {
		return err
	}
	f := keyring.PublicFile{Schema: 1, KeyID: keyring.KeyID(pub), URI: at.String()}
	f.Name = a.cfg.Keys[f.KeyID].Name
	if f.Public, err = keyring.PublicPEM(pub); err != nil {
		return err
	}
	att, err := os.ReadFile(a.keys.AttestationFile(f.KeyID))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f.Attestation = string(att)
	data, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return err
	}
	data = append(data, '\n')
	if out == "" {
		_, err = a.out.Raw().Write(data)
		return err
	}
	if err := atomicfile.Create(out, data, 0o644); err != nil {
		return err
	}
	a.note("wrote %s", out)
	return nil
}
