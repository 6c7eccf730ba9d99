package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fleet-hsm/fleet-hsm/config"
	"github.com/fleet-hsm/fleet-hsm/keyring"
	"github.com/fleet-hsm/fleet-hsm/prompt"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

type tokenSetupOptions struct {
	erase, reset          string
	newPIN, newPUK, soPIN string
	management            string
}

func (a *app) tokenSetupCommand() *cobra.Command {
	var o tokenSetupOptions
	cmd := &cobra.Command{
		Use:   "setup URI",
		Short: "Prepare a new YubiKey or PKCS#11 token: PIN, PUK, management key",
		Long: `setup prepares a device that is new. A YubiKey gets a PIN, a PUK and a random
management key, kept behind the PIN; a PKCS#11 token gets a label, an SO PIN and a
user PIN. A device that is set up already is left as it is.`,
		Example: `  fleet-hsm token setup piv:serial=15835999
  fleet-hsm token setup pkcs11:token=fleet --pkcs11-module /usr/lib/softhsm/libsofthsm2.so`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.runTokenSetup(cmd.Context(), args[0], o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.newPIN, "new-pin-source", "", "where the new PIN comes from (file:PATH, fd:N, env:NAME, cmd:COMMAND)")
	f.StringVar(&o.newPUK, "new-puk-source", "", "where the new PUK comes from (YubiKey)")
	f.StringVar(&o.soPIN, "so-pin-source", "", "where the SO PIN comes from (PKCS#11)")
	f.StringVar(&o.management, "management-key-source", "", "YubiKey: where its present management key comes from, if it is not the factory's (hexadecimal)")
	f.StringVar(&o.erase, "erase", "", "erase the PKCS#11 token of this LABEL first; every key on it is lost")
	f.StringVar(&o.reset, "reset", "", "reset the card of this SERIAL first; every key on it is lost")
	return cmd
}

func (a *app) runTokenSetup(ctx context.Context, arg string, o tokenSetupOptions) error {
	keys, err := a.plain()
	if err != nil {
		return err
	}
	u, err := a.kinds.Parse(arg)
	if err != nil {
		return err
	}
	be, err := keys.Backends.For(u)
	if err != nil {
		return err
	}
	s, ok := be.(signer.SetterUp)
	if !ok {
		return usagef("%q names no device; devices are %s", arg, a.kinds.Devices())
	}
	for _, src := range []struct{ flag, value string }{
		{"new-pin-source", o.newPIN}, {"new-puk-source", o.newPUK}, {"so-pin-source", o.soPIN}, {"pin-source", a.pinSource},
		{"management-key-source", o.management},
	} {
		if src.value == "" {
			continue
		}
		if err := config.CheckSource(src.value); err != nil {
			return usage(fmt.Errorf("--%s: %w", src.flag, err))
		}
	}
	if serial, _ := u.Attr("serial"); o.reset != "" && o.reset != serial {
		return usagef("--reset %s is not the serial number in %s", o.reset, u)
	}
	if err := a.confirmLoss(ctx, be, u, o); err != nil {
		return err
	}
	ui := a.person()
	ui.Given = prompt.Given{NewPIN: o.newPIN, NewPUK: o.newPUK, SOPIN: o.soPIN, ManagementKey: o.management}
	token, err := s.Setup(ctx, u, signer.SetupOptions{Erase: o.erase, Reset: o.reset != "", ManagementKey: o.management != ""}, ui)
	if err != nil {
		return err
	}
	a.afterSetup(token)
	return a.print(tokensResult{Schema: 1, Tokens: []keyring.TokenEntry{keyring.EntryOfToken(token)}}, func(*prompt.Writer) {})
}

// confirmLoss looks at what --reset or --erase takes along. A key that root or the
// configuration names is given up by a person at a terminal only.
func (a *app) confirmLoss(ctx context.Context, be signer.Backend, u signer.URI, o tokenSetupOptions) error {
	if o.reset == "" && o.erase == "" {
		return nil
	}
	loss := &keyring.Loss{At: u, Whole: true}
	l, _ := be.(signer.KeyLister)
	var ui signer.UI
	if o.reset != "" {
		loss.What, loss.Word, ui = "resetting "+a.person().Named(u), o.reset, a.person()
	} else {
		loss.At, loss.Word = keyring.Erased(ctx, be, u.With("token", o.erase))
		loss.What = "erasing " + loss.At.String()
	}
	if err := a.lookAtLoss(ctx, loss, l, ui); err != nil {
		return err
	}
	if len(loss.Named) > 0 {
		return loss.Confirm(ctx, a.person())
	}
	if o.reset == "" {
		return nil
	}
	return a.confirmReset(ctx, be, u, o.reset)
}

// lookAtLoss finds the keys that would be lost, with those that root names, if there is one.
func (a *app) lookAtLoss(ctx context.Context, loss *keyring.Loss, l signer.KeyLister, ui signer.UI) error {
	var root *meta.Root
	switch p, err := a.repo().LoadRoot(); {
	case err == nil:
		root = p.Root
	case !errors.Is(err, repo.ErrNoRepository):
		return fmt.Errorf("looking which keys root names, before %s: %w", loss.What, err)
	}
	return loss.Look(ctx, a.keys, root, l, ui)
}

// confirmReset tells the person at the terminal what goes, and has the serial number
// typed once more. In a script the flag alone says it.
func (a *app) confirmReset(ctx context.Context, be signer.Backend, u signer.URI, serial string) error {
	ui := a.person()
	if a.yes || !ui.HasTerminal() {
		return nil
	}
	loses := "every key on it is lost"
	if l, ok := be.(signer.Tokener); ok {
		if tokens, err := l.Tokens(ctx, u); err == nil && len(tokens) == 1 && len(tokens[0].Slots) > 0 {
			loses = "the keys in its slots " + strings.Join(tokens[0].Slots, ", ") + " are lost for good"
		}
	}
	question := fmt.Sprintf("Resetting %s: %s. Type its serial number to go on:", ui.Named(u), loses)
	answer, err := ui.Line(ctx, question)
	if err == nil && answer != serial {
		return errNotReset
	}
	return err
}

// errNotReset: the person typed something else.
var errNotReset = errors.New("that is not its serial number; nothing was reset")

// afterSetup says what to write on the label.
func (a *app) afterSetup(t signer.Token) {
	a.note("%s is set up", t.URI)
	for _, s := range t.Warnings {
		a.warn("%s", s)
	}
	if k := t.URI.Kind(); k.Prepared != nil {
		for _, s := range k.Prepared(t) {
			a.note("%s", s)
		}
	}
}
