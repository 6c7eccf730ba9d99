package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/fleet-hsm/fleet-hsm/keyring"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/diff"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/workflow"
)

type signOptions struct {
	role     string
	key      []string
	reviewed []string
	root     string
	keys     roleKeyFlags
}

func (a *app) signCommand() *cobra.Command {
	var o signOptions
	cmd := &cobra.Command{
		Use:   "sign [FILE]",
		Short: "Sign what is staged, or a request, with the keys within reach",
		Long: `sign shows the review and asks before any device is used. Without a terminal it
needs --reviewed HASH, as "fleet-hsm review" printed it, once for each role that
signs. When every threshold is met, "fleet-hsm commit" publishes the change.

FILE is a request that came from elsewhere ("fleet-hsm request"): it is checked from
its first root downwards, signed, and written again. No repository and no network is
needed. Pin the root you trust with --root, or with trusted-root: in the configuration;
otherwise sign says which root the request rests on. The configuration is your own:
--config, or fleet-hsm/fleet-hsm.yaml in your configuration folder, never one that lies
beside the request. Keys are taken from --key, the configuration, keys/ROLE.json, and
from whatever token is plugged in and holds one.`,
		Example: `  fleet-hsm sign --role root
  fleet-hsm sign --no-input --reviewed 5d0f12ab34cd56ef
  fleet-hsm sign change.request --root root.json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				a.requestFrom(cmd.Flags().Changed("path"))
			}
			return a.runSign(cmd.Context(), args, o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.role, "role", "", "sign for this role only")
	f.Var((*many)(&o.key), "key", "where the key is (URI; may be given more than once)")
	f.Var((*many)(&o.reviewed), "reviewed", "SHA-256 of a payload that was reviewed, at least 8 digits")
	f.StringVar(&o.root, "root", "", "root.json that the request must lead back to")
	o.keys = addRoleKeyFlags(f, meta.RoleRoot, meta.RoleTargets)
	return cmd
}

func (a *app) runSign(ctx context.Context, args []string, o signOptions) error {
	if o.role != "" && o.role != meta.RoleRoot && o.role != meta.RoleTargets {
		return usagef("--role %q: root and targets are staged; commit signs snapshot and timestamp", o.role)
	}
	if err := workflow.CheckHashes(o.reviewed); err != nil {
		return err
	}
	if len(args) == 1 {
		return a.signRequest(ctx, args[0], o)
	}
	if o.root != "" {
		return usagef("--root goes with a request FILE; here the published root is trusted")
	}
	w, err := a.open(ctx, "sign")
	if err != nil {
		return err
	}
	// Nobody waits for the person who is about to be asked, least of all a timestamp
	// from cron: the signatures are merged under the lock afterwards.
	w.End()
	if w.Staged == nil {
		return repo.ErrNothingStaged
	}
	if err := o.use(w.Keys); err != nil {
		return err
	}
	s := &workflow.Signing{
		Session: w, Change: w.Staged, Role: o.role, Reviewed: o.reviewed,
		Review:   func() (diff.Review, error) { return w.Review(w.Staged) },
		Refusals: []func() error{func() error { return w.Repo.CheckSound(w.Published, w.Staged) }},
		Keep:     func() error { return w.MergeBack(ctx) },
		Done:     `everything is signed; "fleet-hsm commit" publishes it`,
	}
	if err := s.Run(ctx); err != nil {
		return err
	}
	return a.report("sign", nil)
}

// use names the places of the flags.
func (o signOptions) use(keys *keyring.Ring) error {
	if err := o.keys.use(keys); err != nil {
		return err
	}
	for _, text := range o.key {
		for _, role := range []string{meta.RoleRoot, meta.RoleTargets} {
			if err := keys.Add(role, text); err != nil {
				return err
			}
		}
	}
	return nil
}
