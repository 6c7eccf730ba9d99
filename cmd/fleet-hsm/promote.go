package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/fleet-hsm/fleet-hsm/prompt"
	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

type promoteOptions struct {
	from                   string
	to                     string
	tags, names, platforms []string
	allowMissing           bool
	changeFlags
}

func (a *app) promoteCommand() *cobra.Command {
	var o promoteOptions
	cmd := &cobra.Command{
		Use:   "promote VERSION",
		Short: "Publish a version that one channel has in other channels too",
		Long: `promote changes metadata only: content is hashed once more and linked, not
copied. It refuses to leave behind a component or platform that the channel has;
narrow it with --name and --platform, or say --allow-missing.`,
		Example: `  fleet-hsm promote 1.3.0 --from edge --to stable -t 1 -t 1.3
  fleet-hsm promote 5.12.1 --from edge --to stable --name osqueryd`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.runPromote(cmd.Context(), args[0], o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.from, "from", "", "channel that has the version")
	f.StringVar(&o.to, "to", "", "channel to publish it in")
	f.VarP((*many)(&o.tags), "tag", "t", "further channel (may be given more than once)")
	f.Var((*many)(&o.names), "name", "only this component (may be given more than once)")
	f.Var((*many)(&o.platforms), "platform", "only this platform (may be given more than once)")
	f.BoolVar(&o.allowMissing, "allow-missing", false, "go on although something in the channel stays behind")
	o.changeFlags.add(f, meta.RoleTargets, meta.RoleSnapshot, meta.RoleTimestamp)
	return cmd
}

type promoteResult struct {
	committed
	Promoted []edit.Promoted `json:"promoted"`
}

func (a *app) runPromote(ctx context.Context, version string, o promoteOptions) error {
	if o.from == "" || o.to == "" {
		return usagef("promote needs --from CHANNEL and --to CHANNEL")
	}
	w, err := a.openToChange(ctx, "promote", o.changeFlags, rootInForce)
	if err != nil {
		return err
	}
	defer w.End()
	w.UnlockWhileAsking()
	c, moved, err := edit.Promote(w.Repo, w.Published, w.Staged, edit.Promotion{
		Version: version, From: o.from, To: append([]string{o.to}, o.tags...),
		Names: o.names, Platforms: o.platforms, AllowMissing: o.allowMissing,
	}, w.StageOptions(o.allowShorter))
	if done(w, err) {
		res := promoteResult{a.unchanged("promote"), []edit.Promoted{}}
		return a.print(res, func(*prompt.Writer) {})
	}
	if err != nil {
		return err
	}
	odd, err := w.OddNames([]meta.Item{{Name: moved[0].Name, Version: version, Channels: append([]string{o.to}, o.tags...)}})
	if err != nil {
		return err
	}
	notes := a.sayOdd(odd)
	if !a.json {
		showPromoted(a.talk, moved)
	}
	w.WarnHeavy(c)
	versions, err := w.FinishTargets(ctx, c, o.stageOnly, o.allowShorter)
	if err != nil {
		return err
	}
	return a.print(promoteResult{a.committed("promote", versions, notes...), moved}, func(*prompt.Writer) {})
}

func showPromoted(w *prompt.Writer, moved []edit.Promoted) {
	rows := [][]string{{"component", "platform", "channel", "before", "after"}}
	for _, m := range moved {
		rows = append(rows, []string{bare(m.Name), bare(m.Platform), bare(m.Channel), bare(m.Before), bare(m.After)})
	}
	w.Table(rows)
}
