package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/fleet-hsm/fleet-hsm/config"
	"github.com/fleet-hsm/fleet-hsm/keyring"
	"github.com/fleet-hsm/fleet-hsm/prompt"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

type keyGenerateOptions struct {
	algorithm, pinPolicy, touchPolicy, overwrite, attestationCA, name string
	management                                                        string
}

func (a *app) keyGenerateCommand() *cobra.Command {
	var o keyGenerateOptions
	cmd := &cobra.Command{
		Use:   "generate URI",
		Short: "Make a key on a YubiKey, on a PKCS#11 token or in a file",
		Long: `generate makes a key where it will live; the private part never leaves the device. A
place that is taken is refused. On a YubiKey the attestation is fetched, checked and
kept in attestations/. Where the key is goes into the configuration.`,
		Example: `  fleet-hsm key generate "piv:serial=15835999;slot=9c" --name blue
  fleet-hsm key generate "pkcs11:token=fleet;object=timestamp" --algorithm rsa3072`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.runKeyGenerate(cmd.Context(), args[0], o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.algorithm, "algorithm", "", "p256, ed25519, rsa2048, rsa3072 or rsa4096 (default p256 on devices, ed25519 in files)")
	f.StringVar(&o.pinPolicy, "pin-policy", "", "YubiKey: when the PIN is wanted: never, once or always (default always)")
	f.StringVar(&o.touchPolicy, "touch-policy", "", "YubiKey: when a touch is wanted: never, cached or always (default always)")
	f.StringVar(&o.overwrite, "overwrite", "", "replace the key of this KEYID in the slot; it is lost")
	f.StringVar(&o.management, "management-key-source", "", managementUsage)
	f.StringVar(&o.attestationCA, "attestation-ca", "", "PEM certificates that an attestation may lead to besides Yubico's")
	f.StringVar(&o.name, "name", "", "what people call the key, such as blue")
	return cmd
}

func (o keyGenerateOptions) check() error {
	if !slices.Contains([]string{"", "never", "once", "always"}, o.pinPolicy) {
		return usagef("--pin-policy %q is none of never, once, always", o.pinPolicy)
	}
	if !slices.Contains([]string{"", "never", "cached", "always"}, o.touchPolicy) {
		return usagef("--touch-policy %q is none of never, cached, always", o.touchPolicy)
	}
	if o.name != "" {
		if err := keyring.CheckName(o.name); err != nil {
			return fmt.Errorf("--name: %w", err)
		}
	}
	return nil
}

func (a *app) runKeyGenerate(ctx context.Context, arg string, o keyGenerateOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	alg, err := parseAlgorithm(o.algorithm)
	if err != nil {
		return err
	}
	keys, err := a.plain()
	if err != nil {
		return err
	}
	u, roles, err := a.keyArg(arg)
	if err != nil {
		return err
	}
	if err := keys.CheckFree(o.name, u); err != nil && o.name != "" {
		return fmt.Errorf("--name: %w", err)
	}
	be, err := keys.Backends.For(u)
	if err != nil {
		return err
	}
	g, ok := be.(signer.Generator)
	if !ok {
		return usagef("%q names no place for a new key", arg)
	}
	if err := a.useManagementKey(o.management); err != nil {
		return err
	}
	extra, err := a.keys.AttestationRoots(o.attestationCA)
	if err != nil {
		return err
	}
	if o.overwrite != "" {
		loss := &keyring.Loss{What: "overwriting " + u.String(), At: u, Word: keyring.WordOf(ctx, be, u)}
		l, _ := be.(signer.KeyLister)
		if err := a.lookAtLoss(ctx, loss, l, a.person()); err != nil {
			return err
		}
		if err := loss.Confirm(ctx, a.person()); err != nil {
			return err
		}
	}
	made, err := g.Generate(ctx, signer.Ref{URI: u, Roles: roles}, signer.GenerateOptions{
		Algorithm: alg, PINPolicy: o.pinPolicy, TouchPolicy: o.touchPolicy, Overwrite: o.overwrite, KeyID: keyring.KeyIDText, AttestationRoots: extra,
	}, a.person())
	if err != nil {
		return err
	}
	return a.keepGenerated(made, u, o.name)
}

// keepGenerated stores the attestation and where the key is, and tells its ID.
func (a *app) keepGenerated(made signer.Generated, typed signer.URI, name string) error {
	if err := a.keys.KeepAttestation(made); err != nil {
		return err
	}
	for _, s := range made.Warnings {
		a.warn("%s: %s", made.URI, s)
	}
	res := keysResult{Schema: 1}
	var places []config.Location
	for _, pub := range made.Public {
		alg, err := signer.AlgorithmOf(pub)
		if err != nil {
			return err
		}
		id := keyring.KeyID(pub)
		res.Keys = append(res.Keys, keyring.Entry{KeyID: id, Algorithm: string(alg), URI: made.URI.String(), Name: name})
		if !keyring.IsRoleFile(made.URI) || name != "" {
			places = append(places, config.Location{KeyID: id, URI: made.URI.WithQueryOf(typed), Name: name})
		}
	}
	if err := a.cfg.Remember(places, a.flagSettings()); err != nil {
		return err
	}
	if len(made.Attestation) > 0 {
		a.note("attestation kept in %s", a.keys.AttestationFile(res.Keys[0].KeyID))
	}
	return a.print(res, func(w *prompt.Writer) {
		for _, k := range res.Keys {
			w.Printf("%s  %s  %s\n", k.KeyID, k.Algorithm, k.URI)
		}
	})
}
