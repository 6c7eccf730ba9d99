package main

import (
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/edit"
)

func (a *app) discardCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "discard",
		Short: "Drop what is staged, and what fleetctl left behind when it failed",
		Long: `discard drops the staged change and its signatures, clears fleetctl's staged/ folder
and its .backup folders (a backup of keys goes to keys/retired/ instead). Published
files and keys stay.`,
		Example: `  fleet-hsm discard
  fleet-hsm discard --path /srv/updates`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runDiscard(cmd.Context()) },
	}
}

func (a *app) runDiscard(ctx context.Context) error {
	if err := a.checkPath(); err != nil {
		return err
	}
	r := a.repo()
	if left, err := edit.FleetctlLeftovers(r); err != nil {
		return err
	} else if err := r.CheckThere(); err != nil && len(left) == 0 {
		return err
	}
	lock, err := r.Lock(ctx, "discard", a.lockTimeoutValue())
	if err != nil {
		return err
	}
	defer lock.Unlock()
	for _, s := range lock.Recovered {
		a.note("%s", s)
	}
	err = r.Discard()
	dropped := err == nil
	if err != nil && !errors.Is(err, repo.ErrNothingStaged) {
		return err
	}
	if dropped {
		a.note("dropped the staged change")
	}
	left, err := edit.FleetctlLeftovers(r)
	if err != nil {
		return err
	}
	if len(left) > 0 {
		if err := edit.DropFleetctlLeftovers(r); err != nil {
			return err
		}
		if edit.StagedRoot(left) {
			a.note("moved staged/ to staged.kept-*: its root.json may be somebody's ceremony of the tuf tool")
		}
		a.note("cleared what fleetctl left: %s", strings.Join(left, ", "))
	}
	if !dropped && len(left) == 0 {
		a.note("nothing is staged")
	}
	return a.report("discard", nil)
}
