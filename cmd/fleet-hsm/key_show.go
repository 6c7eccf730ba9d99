package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fleet-hsm/fleet-hsm/keyring"
	"github.com/fleet-hsm/fleet-hsm/prompt"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

func (a *app) keyShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show URI",
		Short: "Show a key: its ID, its kind, and where it comes from",
		Example: `  fleet-hsm key show "pkcs11:token=fleet;object=timestamp"
  fleet-hsm key show file:keys/targets.json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.runKeyShow(cmd.Context(), args[0]) },
	}
}

// provenance is what a device reports of a key. For PKCS#11 these are claims of the
// module; only an attestation is a proof.
type provenance struct {
	Origin             string   `json:"origin,omitempty"`
	PINPolicy          string   `json:"pin_policy,omitempty"`
	TouchPolicy        string   `json:"touch_policy,omitempty"`
	Local              *bool    `json:"local,omitempty"`
	NeverExtractable   *bool    `json:"never_extractable,omitempty"`
	AlwaysSensitive    *bool    `json:"always_sensitive,omitempty"`
	Sensitive          *bool    `json:"sensitive,omitempty"`
	Extractable        *bool    `json:"extractable,omitempty"`
	AlwaysAuthenticate *bool    `json:"always_authenticate,omitempty"`
	Mechanism          string   `json:"key_gen_mechanism,omitempty"`
	Token              string   `json:"token,omitempty"`
	Serial             string   `json:"serial,omitempty"`
	Model              string   `json:"model,omitempty"`
	Firmware           string   `json:"firmware,omitempty"`
	Doubtful           string   `json:"doubtful,omitempty"`
	Warnings           []string `json:"warnings,omitempty"`
}

func provenanceOf(i signer.KeyInfo) *provenance {
	if !i.URI.OnDevice() {
		return nil
	}
	return &provenance{
		Origin: i.Origin, PINPolicy: i.PINPolicy, TouchPolicy: i.TouchPolicy, Local: i.Local, NeverExtractable: i.NeverExtractable,
		AlwaysSensitive: i.AlwaysSensitive, Sensitive: i.Sensitive, Extractable: i.Extractable, AlwaysAuthenticate: i.AlwaysAuthenticate,
		Mechanism: i.KeyGenMechanism, Token: i.Token.Label, Serial: i.Token.Serial, Model: i.Token.Model, Firmware: i.Token.Firmware,
		Doubtful: keyring.Doubtful(i), Warnings: i.Warnings,
	}
}

type keyShown struct {
	Schema int `json:"schema"`
	keyEntry
	Public string `json:"public"`
}

func (a *app) runKeyShow(ctx context.Context, arg string) error {
	keys, err := a.plain()
	if err != nil {
		return err
	}
	u, roles, err := a.keyArg(arg)
	if err != nil {
		return err
	}
	infos, err := keys.DescribeOne(ctx, a.person(), u, roles)
	if err != nil {
		return err
	}
	var shown []keyShown
	for _, info := range infos {
		pem, err := keyring.PublicPEM(info.Public)
		if err != nil {
			return err
		}
		shown = append(shown, keyShown{Schema: 1, keyEntry: a.entryOf(info), Public: pem})
	}
	for _, s := range shown {
		if err := a.print(s, func(out *prompt.Writer) { s.text(out) }); err != nil {
			return err
		}
	}
	return nil
}

func (s keyShown) text(w *prompt.Writer) {
	w.Printf("key ID     %s\n", s.KeyID)
	w.Printf("algorithm  %s\n", s.Algorithm)
	w.Printf("URI        %s\n", s.URI)
	if len(s.Roles) > 0 {
		w.Printf("roles      %s\n", strings.Join(s.Roles, ", "))
	}
	if s.provenance != nil {
		s.provenance.text(w)
	}
	w.Lines(s.Public)
}

func (p *provenance) text(w *prompt.Writer) {
	line := func(name, value string) {
		if value != "" {
			w.Printf("%-10s %s\n", name, value)
		}
	}
	line("token", strings.TrimSpace(p.Token+" "+p.Serial))
	line("model", strings.TrimSpace(p.Model+" "+p.Firmware))
	line("origin", p.Origin)
	line("PIN", p.PINPolicy)
	line("touch", p.TouchPolicy)
	var claims []string
	for _, c := range []struct {
		name  string
		value *bool
	}{
		{"local", p.Local}, {"sensitive", p.Sensitive}, {"always-sensitive", p.AlwaysSensitive},
		{"extractable", p.Extractable}, {"never-extractable", p.NeverExtractable}, {"always-authenticate", p.AlwaysAuthenticate},
	} {
		if c.value != nil {
			claims = append(claims, fmt.Sprintf("%s=%t", c.name, *c.value))
		}
	}
	if len(claims) > 0 {
		line("reported", strings.Join(claims, " ")+" (by the token; not a proof)")
	}
	line("made by", p.Mechanism)
	line("DOUBTFUL", p.Doubtful)
	for _, s := range p.Warnings {
		line("WARNING", s)
	}
}
