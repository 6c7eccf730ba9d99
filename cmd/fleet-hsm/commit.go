package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/workflow"
)

type commitOptions struct {
	withoutTimestamp, allowShorter bool
	keys                           roleKeyFlags
}

func (a *app) commitCommand() *cobra.Command {
	var o commitOptions
	cmd := &cobra.Command{
		Use:   "commit",
		Short: "Publish what is staged, if it has all its signatures",
		Long: `commit builds snapshot and timestamp over the staged root and targets, signs them
and publishes everything. --without-timestamp leaves the timestamp to the machine
that has its key (consistent snapshots only).`,
		Example: `  fleet-hsm commit
  fleet-hsm commit --without-timestamp`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runCommit(cmd.Context(), o) },
	}
	f := cmd.Flags()
	f.BoolVar(&o.withoutTimestamp, "without-timestamp", false, "publish everything but the timestamp")
	f.BoolVar(&o.allowShorter, "allow-shorter", false, "accept an expiry before the published one")
	o.keys = addRoleKeyFlags(f, meta.RoleSnapshot, meta.RoleTimestamp)
	return cmd
}

func (a *app) runCommit(ctx context.Context, o commitOptions) error {
	w, err := a.open(ctx, "commit")
	if err != nil {
		return err
	}
	defer w.End()
	if w.Staged == nil {
		return repo.ErrNothingStaged
	}
	if err := o.keys.use(w.Keys); err != nil {
		return err
	}
	versions, err := w.CommitStaged(ctx, workflow.PublishOptions{AllowShorter: o.allowShorter, WithoutTimestamp: o.withoutTimestamp})
	if err != nil {
		return err
	}
	return a.report("commit", versions)
}
