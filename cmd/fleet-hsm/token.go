package main

import (
	"context"
	"errors"
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
	Schema int          `json:"schema"`
	Tokens []tokenEntry `json:"tokens"`
}

// tokenEntry is a device with --json.
type tokenEntry struct {
	URI          string   `json:"uri,omitempty"`
	Kind         string   `json:"kind"`
	Label        string   `json:"label,omitempty"`
	Serial       string   `json:"serial,omitempty"`
	Model        string   `json:"model,omitempty"`
	Manufacturer string   `json:"manufacturer,omitempty"`
	Firmware     string   `json:"firmware,omitempty"`
	Reader       string   `json:"reader,omitempty"`
	Module       string   `json:"module,omitempty"`
	Initialized  bool     `json:"initialized"`
	TriesLeft    *int     `json:"pin_tries_left,omitempty"`
	Flags        []string `json:"flags,omitempty"`
	MaxSessions  int      `json:"max_sessions,omitempty"`
	Slots        []string `json:"slots,omitempty"`
	Warnings     []string `json:"warnings,omitempty"`
	Problem      string   `json:"problem,omitempty"`
}

func entryOfToken(t signer.Token) tokenEntry {
	e := tokenEntry{
		URI: t.URI.String(), Kind: t.Kind, Label: t.Label, Serial: t.Serial, Model: t.Model, Manufacturer: t.Manufacturer,
		Firmware: t.Firmware, Reader: t.Reader, Module: t.Module, Initialized: t.Initialized, Flags: t.Flags,
		MaxSessions: t.MaxSessions, Slots: t.Slots, Warnings: t.Warnings, Problem: t.Problem,
	}
	if t.PINTriesLeft >= 0 {
		e.TriesLeft = &t.PINTriesLeft
	}
	return e
}

func (a *app) runTokenList(ctx context.Context, args []string) error {
	res := tokensResult{Schema: 1, Tokens: []tokenEntry{}}
	err := a.eachDevice(args, func(be signer.Backend, u signer.URI) (int, error) {
		tokens, err := be.(signer.Tokener).Tokens(ctx, u)
		for _, t := range tokens {
			res.Tokens = append(res.Tokens, entryOfToken(t))
		}
		return len(tokens), err
	})
	if err != nil {
		return err
	}
	return a.print(res, func(w *prompt.Writer) {
		for _, t := range res.Tokens {
			t.text(w)
		}
	})
}

// eachDevice asks the kinds of device that an argument names, or all, and says how many
// each shows. What can be shown is: one kind that cannot be asked does not hide the others.
func (a *app) eachDevice(args []string, ask func(be signer.Backend, u signer.URI) (int, error)) error {
	keys, err := a.plain()
	if err != nil {
		return err
	}
	wanted, err := a.listed(keys, args)
	if err != nil {
		return err
	}
	var failed []error
	found := 0
	for _, u := range wanted {
		n, err := ask(keys.Backends[u.Scheme], u)
		if err != nil {
			failed = append(failed, err)
		}
		found += n
	}
	if len(failed) > 0 && found == 0 {
		return errors.Join(failed...)
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

// listed says which kinds of device to ask: the one that was named, or all that this
// machine is set up for.
func (a *app) listed(keys *keyring.Ring, args []string) ([]signer.URI, error) {
	if len(args) == 1 {
		u, err := a.kinds.Parse(args[0])
		if err != nil {
			return nil, err
		}
		if _, ok := keys.Backends[u.Scheme].(signer.Tokener); !ok {
			return nil, usagef("%q names no device; devices are %s", args[0], a.kinds.Devices())
		}
		return []signer.URI{u}, nil
	}
	settings, err := a.settings()
	if err != nil {
		return nil, err
	}
	var out []signer.URI
	for _, k := range a.kinds.Ready(settings) {
		if _, ok := keys.Backends[k.Scheme].(signer.Tokener); ok {
			out = append(out, k.URI())
		}
	}
	return out, nil
}

func (t tokenEntry) text(w *prompt.Writer) {
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
