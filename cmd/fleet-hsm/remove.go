package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/fleet-hsm/fleet-hsm/prompt"
	"github.com/fleet-hsm/fleet-hsm/repo"
)

type removeOptions struct {
	channel                 string
	names, platforms        []string
	stageOnly, allowShorter bool
	reviewed                []string
	keys                    roleKeyFlags
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
	f.StringArrayVar(&o.names, "name", nil, "with --channel: only this component")
	f.StringArrayVar(&o.platforms, "platform", nil, "with --channel: only this platform")
	f.BoolVar(&o.stageOnly, "stage-only", false, "stage the change and sign nothing")
	addReviewed(f, &o.reviewed)
	f.BoolVar(&o.allowShorter, "allow-shorter", false, "accept an expiry before the published one")
	o.keys = addRoleKeyFlags(f, repo.RoleTargets, repo.RoleSnapshot, repo.RoleTimestamp)
	return cmd
}

type removeResult struct {
	published
	Removed []string `json:"removed"`
}

func (a *app) runRemove(ctx context.Context, paths []string, o removeOptions) error {
	if len(paths) == 0 && o.channel == "" {
		return usagef("remove needs the path of a target, or --channel CHANNEL")
	}
	if o.channel == "" && len(o.names)+len(o.platforms) > 0 {
		return usagef("--name and --platform narrow --channel; a TARGET is named whole")
	}
	w, err := a.openForTargets(ctx, "remove", o.keys, o.reviewed, o.stageOnly)
	if err != nil {
		return err
	}
	defer w.End()
	c, gone, err := w.Repo.Remove(w.Published, w.Staged, repo.Removal{
		Paths: paths, Channel: o.channel, Names: o.names, Platforms: o.platforms,
	}, w.StageOptions(o.allowShorter))
	if err != nil {
		return err
	}
	for _, path := range gone {
		a.note("removing %s", path)
	}
	if err := w.confirmRemoval(ctx); err != nil {
		return err
	}
	versions, err := w.publishTargets(ctx, c, o.stageOnly, o.allowShorter)
	if err != nil {
		return err
	}
	return a.print(removeResult{a.published("remove", versions), gone}, func(*prompt.Writer) {})
}

func (w *work) confirmRemoval(ctx context.Context) error {
	if w.a.yes || !w.UI.HasTerminal() {
		return nil
	}
	return w.UI.Confirm(ctx, "Take them out?")
}
