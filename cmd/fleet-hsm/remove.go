package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/fleet-hsm/fleet-hsm/prompt"
	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

type removeOptions struct {
	channel          string
	names, platforms []string
	changeFlags
}

func (a *app) removeCommand() *cobra.Command {
	var o removeOptions
	cmd := &cobra.Command{
		Use:   "remove [TARGET]...",
		Short: "Take targets, or a whole channel, out of the metadata",
		Long: `remove signs targets without the named paths. The bytes stay in repository/targets,
for agents that are just fetching them; "fleet-hsm gc" drops them later. An agent on a
channel that is gone keeps what it has.`,
		Example: `  fleet-hsm remove desktop/windows/stable/desktop.exe
  fleet-hsm remove --channel 1.2.3 --name orbit`,
		RunE: func(cmd *cobra.Command, args []string) error { return a.runRemove(cmd.Context(), args, o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.channel, "channel", "", "take out everything in this channel")
	f.Var((*many)(&o.names), "name", "with --channel: only this component")
	f.Var((*many)(&o.platforms), "platform", "with --channel: only this platform")
	o.changeFlags.add(f, meta.RoleTargets, meta.RoleSnapshot, meta.RoleTimestamp)
	return cmd
}

type removeResult struct {
	committed
	Removed []string `json:"removed"`
}

func (a *app) runRemove(ctx context.Context, paths []string, o removeOptions) error {
	if len(paths) == 0 && o.channel == "" {
		return usagef("remove needs the path of a target, or --channel CHANNEL")
	}
	if o.channel == "" && len(o.names)+len(o.platforms) > 0 {
		return usagef("--name and --platform narrow --channel; a TARGET is named whole")
	}
	w, err := a.openToChange(ctx, "remove", o.changeFlags, rootInForce)
	if err != nil {
		return err
	}
	defer w.End()
	w.UnlockWhileAsking()
	c, gone, err := edit.Remove(w.Repo, w.Published, w.Staged, edit.Removal{
		Paths: paths, Channel: o.channel, Names: o.names, Platforms: o.platforms,
	}, w.StageOptions(o.allowShorter))
	if done(w, err) {
		res := removeResult{a.unchanged("remove"), []string{}}
		return a.print(res, func(*prompt.Writer) {})
	}
	if err != nil {
		return err
	}
	for _, path := range gone {
		a.note("removing %s", path)
	}
	if err := a.confirm(ctx, w, "Take them out?"); err != nil {
		return err
	}
	versions, err := w.FinishTargets(ctx, c, o.stageOnly, o.allowShorter)
	if err != nil {
		return err
	}
	return a.print(removeResult{a.committed("remove", versions), gone}, func(*prompt.Writer) {})
}
