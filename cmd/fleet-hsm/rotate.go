package main

import (
	"context"
	"errors"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/fleet-hsm/fleet-hsm/keyring"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/workflow"
)

type rotateOptions struct {
	changeFlags
	workflow.Rotation
	make    makeFlags
	plan    bool
	request string
	renew   bool
}

func (a *app) rotateCommand() *cobra.Command {
	var o rotateOptions
	cmd := &cobra.Command{
		Use:   "rotate ROLE...",
		Short: "Change the keys or the threshold of a role",
		Long: `rotate changes who may sign for root, targets, snapshot or timestamp. Without
--key, --add, --remove, --threshold or --renew, and only if all keys of the role are in
keys/ROLE.json, they are all replaced by new ones, as fleetctl does. The old keys go
to keys/retired/. Adding a key needs root alone; other changes also need the keys of
the roles whose metadata the new root no longer accepts.`,
		Example: `  fleet-hsm rotate targets
  fleet-hsm rotate root --add "piv:serial=333;slot=9c" --remove 5d0f12ab34cd56ef --threshold 2`,
		Args:      cobra.MatchAll(cobra.MinimumNArgs(1), roleArgs),
		ValidArgs: meta.Roles(),
		RunE:      func(cmd *cobra.Command, args []string) error { return a.runRotate(cmd.Context(), args, o) },
	}
	f := cmd.Flags()
	f.Var((*many)(&o.Set), "key", "a key of the complete new set (URI; may be given more than once)")
	f.Var((*many)(&o.Add), "add", "a key to add (URI)")
	f.Var((*many)(&o.Remove), "remove", "a key to remove (key ID or its beginning, name, URI, or serial number of its device)")
	f.IntVar(&o.Threshold, "threshold", 0, "how many keys must sign from now on")
	o.make.add(f, "kind of new keys (default: as the old ones in files, p256 on tokens)")
	f.BoolVar(&o.renew, "renew", false, "keep keys and content, and sign root or targets again with a new expiry")
	f.StringVar(&o.request, "request", "", "write the change into this file if signatures are missing, to be signed elsewhere")
	f.BoolVar(&o.plan, "plan", false, "show who would sign what with which key, and write nothing")
	o.changeFlags.add(f, meta.Roles()...)
	return cmd
}

func roleArgs(_ *cobra.Command, args []string) error {
	for i, role := range args {
		if !meta.IsRole(role) {
			return usage(unknownRole(role))
		}
		if slices.Contains(args[:i], role) {
			return usagef("role %s is named twice", role)
		}
	}
	return nil
}

func (o rotateOptions) check(roles []string) error {
	switch {
	case (o.renew || o.plan) && len(roles) > 1:
		return usagef("--renew and --plan look at one role at a time")
	case o.renew && o.request != "":
		return usagef(`--request does not go with --renew; "fleet-hsm request" writes what is staged`)
	case !o.renew && len(o.Set) > 0 && (len(o.Add) > 0 || len(o.Remove) > 0):
		return usagef("--key names the complete new set; --add and --remove do not go with it")
	}
	return nil
}

func (a *app) runRotate(ctx context.Context, roles []string, o rotateOptions) (err error) {
	if err := o.check(roles); err != nil {
		return err
	}
	if o.renew {
		return a.runRenew(ctx, roles[0], o)
	}
	o.AllowShorter = o.allowShorter
	if o.plan {
		return a.runPlan(ctx, roles[0], o)
	}
	if err := workflow.CheckFree(o.request); err != nil {
		return err
	}
	if o.Make, err = o.make.read(a); err != nil {
		return err
	}
	w, err := a.openToChange(ctx, "rotate", o.changeFlags, func(w *workflow.Session) error {
		w.UnlockWhileAsking()
		return nil
	})
	if err != nil {
		return err
	}
	defer w.End()
	c, err := w.Rotate(ctx, roles, o.Rotation)
	if err != nil {
		return err
	}
	w.SayShared(c)
	versions, err := w.Finish(ctx, c, o.stageOnly, o.allowShorter)
	short := as[*keyring.ShortError](err)
	if err != nil && !o.stageOnly && c.Fresh {
		return w.Maker.Undo(err)
	}
	if (o.stageOnly && err == nil || short) && o.request != "" {
		err = errors.Join(err, a.requestFor(w, c, o.request))
	}
	if err != nil {
		return err
	}
	if !o.stageOnly {
		for _, role := range roles {
			w.Retire(role)
		}
	}
	return a.report("rotate", versions)
}

// requestFor writes a change that was just saved into a file, for those who must still sign
// it.
func (a *app) requestFor(w *workflow.Session, c *repo.Change, out string) error {
	w.Staged = c
	if _, err := w.WriteRequest(out); err != nil {
		return err
	}
	a.note(`wrote %s; "fleet-hsm sign %s" signs it anywhere`, out, filepath.Base(out))
	return nil
}
