package main

import (
	"context"
	"crypto"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fleet-hsm/fleet-hsm/keyring"
	"github.com/fleet-hsm/fleet-hsm/prompt"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

type keyAttestOptions struct{ attestationCA string }

func (a *app) keyAttestCommand() *cobra.Command {
	var o keyAttestOptions
	cmd := &cobra.Command{
		Use:   "attest [URI|KEYID|ROLE]",
		Short: "Check the certificates that prove where keys were born",
		Long: `attest checks the stored attestation of a key, or of every key that root names,
published or staged: the chain to Yubico's roots (or --attestation-ca), that the
attested public key is the one that root names, and that serial and slot are those
where the configuration says the key is; it shows firmware and policies. It needs no
device. With the URI of a plugged-in card it fetches the attestation anew and stores
it. "fleet-hsm verify --attestations" fails unless every root key has one.`,
		Example: `  fleet-hsm key attest
  fleet-hsm key attest "piv:serial=15835999;slot=9c"`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.runKeyAttest(cmd.Context(), args, o) },
	}
	cmd.Flags().StringVar(&o.attestationCA, "attestation-ca", "", "PEM certificates that an attestation may lead to besides Yubico's")
	return cmd
}

type attestResult struct {
	Schema int                   `json:"schema"`
	Keys   []keyring.AttestEntry `json:"keys"`
}

// attestationError: a stored certificate does not prove what it is there for. Exit 4.
type attestationError struct{ problems []string }

func (e *attestationError) Error() string { return strings.Join(e.problems, "; ") }

func (a *app) runKeyAttest(ctx context.Context, args []string, o keyAttestOptions) error {
	keys, err := a.plain()
	if err != nil {
		return err
	}
	extra, err := keys.AttestationRoots(o.attestationCA)
	if err != nil {
		return err
	}
	att, err := keys.Attester()
	if err != nil {
		return err
	}
	if len(args) == 1 && strings.Contains(args[0], ":") {
		return a.attestCard(ctx, att, args[0], extra)
	}
	w, err := a.look()
	if err != nil {
		return err
	}
	found, err := w.CheckAttestations(strings.Join(args, ""), extra)
	if err != nil {
		return err
	}
	res := &attestResult{Schema: 1}
	for _, f := range found {
		e := keyring.EntryOfStored(f.KeyID, f.StoredProof)
		e.Roles = f.Roles
		res.Keys = append(res.Keys, e)
	}
	if err := a.print(res, func(w *prompt.Writer) { res.text(w) }); err != nil {
		return err
	}
	return res.check()
}

// attestCard fetches a certificate from a card and stores it.
func (a *app) attestCard(ctx context.Context, att signer.Attester, arg string, extra []byte) error {
	u, err := a.kinds.Parse(arg)
	if err != nil {
		return err
	}
	proof, err := att.Attest(ctx, signer.Ref{URI: u}, extra)
	if err != nil {
		return err
	}
	if err := a.keys.KeepAttestation(signer.Generated{Public: []crypto.PublicKey{proof.Public}, Attestation: proof.Chain}); err != nil {
		return err
	}
	e := keyring.EntryOfProof(keyring.KeyID(proof.Public), proof)
	if w, err := a.look(); err == nil {
		e.Roles = w.RolesOf(e.KeyID)
	}
	res := attestResult{Schema: 1, Keys: []keyring.AttestEntry{e}}
	return a.print(res, func(w *prompt.Writer) { res.text(w) })
}

func (res *attestResult) text(w *prompt.Writer) {
	for _, e := range res.Keys {
		switch {
		case e.Attested:
			w.Printf("%s  %s  card %s, slot %s, firmware %s, PIN %s, touch %s (%s)\n", e.KeyID.Short(), e.RolesText(),
				e.Serial, e.Slot, e.Firmware, e.PINPolicy, e.TouchPolicy, e.Root)
		case e.Problem != "":
			w.Printf("%s  %s  NOT PROVED: %s\n", e.KeyID.Short(), e.RolesText(), e.Problem)
		default:
			w.Printf("%s  %s  no attestation\n", e.KeyID.Short(), e.RolesText())
		}
	}
}

func (res *attestResult) check() error {
	var bad []string
	for _, e := range res.Keys {
		if e.Problem != "" {
			bad = append(bad, fmt.Sprintf("attestation of key %s: %s", e.KeyID.Short(), e.Problem))
		}
	}
	if len(bad) == 0 {
		return nil
	}
	return &attestationError{problems: bad}
}
