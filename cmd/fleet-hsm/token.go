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

func (a *app) tokenCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token",
		Short: "List and set up the devices that hold keys",
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.tokenListCommand(), a.tokenSetupCommand())
	return cmd
}

func (a *app) tokenListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list [URI]",
		Short: "List YubiKeys and the slots of the PKCS#11 module",
		Example: `  fleet-hsm token list
  fleet-hsm token list pkcs11: --pkcs11-module /usr/lib/softhsm/libsofthsm2.so`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.runTokenList(cmd.Context(), args) },
	}
}

type tokensResult struct {
	Schema int                  `json:"schema"`
	Tokens []keyring.TokenEntry `json:"tokens"`
}

func (a *app) runTokenList(ctx context.Context, args []string) error {
	res := tokensResult{Schema: 1, Tokens: []keyring.TokenEntry{}}
	err := a.eachDevice(args, func(be signer.Backend, u signer.URI) (int, error) {
		tokens, err := be.(signer.Tokener).Tokens(ctx, u)
		for _, t := range tokens {
			res.Tokens = append(res.Tokens, keyring.EntryOfToken(t))
		}
		return len(tokens), err
	})
	if err != nil {
		return err
	}
	return a.print(res, func(w *prompt.Writer) {
		for _, t := range res.Tokens {
			showToken(w, t)
		}
	})
}

func showToken(w *prompt.Writer, t keyring.TokenEntry) {
	name := t.URI
	if name == "" {
		name = t.Reader
	}
	w.Printf("%s\n", name)
	line := func(label, value string) {
		if value != "" {
			w.Printf("  %-10s %s\n", label, value)
		}
	}
	line("label", t.Label)
	line("serial", t.Serial)
	line("model", strings.TrimSpace(t.Manufacturer+" "+t.Model))
	line("firmware", t.Firmware)
	line("reader", t.Reader)
	if !t.Initialized && t.Problem == "" {
		line("state", "not set up")
	}
	if t.TriesLeft != nil {
		line("PIN", fmt.Sprintf("%d tries left", *t.TriesLeft))
	}
	line("flags", strings.Join(t.Flags, ", "))
	if t.MaxSessions > 0 {
		line("sessions", fmt.Sprintf("at most %d", t.MaxSessions))
	}
	line("slots", strings.Join(t.Slots, ", "))
	for _, s := range t.Warnings {
		line("WARNING", s)
	}
	line("PROBLEM", t.Problem)
}

// eachDevice asks the kinds of device that an argument names, or all, and tells which cannot
// be asked.
func (a *app) eachDevice(args []string, ask func(be signer.Backend, u signer.URI) (int, error)) error {
	keys, err := a.plain()
	if err != nil {
		return err
	}
	found, failed, err := keys.EachDevice(strings.Join(args, ""), ask)
	if err != nil {
		return err
	}
	for _, err := range failed {
		a.warn("%v", err)
		if hint := judge(err).hint; hint != "" {
			a.note("hint: %s", hint)
		}
	}
	if found == 0 {
		a.note("nothing is plugged in")
	}
	return nil
}
