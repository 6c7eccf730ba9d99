package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fleet-hsm/fleet-hsm/keyring"
	"github.com/fleet-hsm/fleet-hsm/prompt"
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

type keyShown struct {
	Schema int `json:"schema"`
	keyring.Entry
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
		shown = append(shown, keyShown{Schema: 1, Entry: a.entryOf(info), Public: pem})
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
	if s.Provenance != nil {
		showProvenance(w, s.Provenance)
	}
	w.Lines(s.Public)
}

func showProvenance(w *prompt.Writer, p *keyring.Provenance) {
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
