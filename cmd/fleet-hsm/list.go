package main

import (
	"context"
	"slices"

	"github.com/spf13/cobra"

	"github.com/fleet-hsm/fleet-hsm/prompt"
	"github.com/fleet-hsm/fleet-hsm/remote"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/verify"
	"github.com/fleet-hsm/fleet-hsm/workflow"
)

type listOptions struct {
	names, platforms, channels []string
	markdown, staged, history  bool
	archived                   bool
	remote                     remoteFlags
}

func (a *app) listCommand() *cobra.Command {
	var o listOptions
	cmd := &cobra.Command{
		Use:   "list [DIR|URL]",
		Short: "Show which version each channel has, by component and platform",
		Long: `list shows what targets.json says: a component and platform a line, a channel a
column. DIR is another working folder, or a folder as a server gives it out. A URL is
checked from the root that --root trusts, such a folder from its oldest. --history shows what every kept version changed (folders
with consistent snapshots keep them).`,
		Example: `  fleet-hsm list
  fleet-hsm list --channel stable --markdown
  fleet-hsm list https://updates.example.com --root root.json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.runList(cmd.Context(), args, o) },
	}
	f := cmd.Flags()
	f.StringArrayVar(&o.names, "name", nil, "only this component (may be given more than once)")
	f.StringArrayVar(&o.platforms, "platform", nil, "only this platform")
	f.StringArrayVar(&o.channels, "channel", nil, "only this channel")
	f.BoolVar(&o.markdown, "markdown", false, "a table for documents")
	f.BoolVar(&o.staged, "staged", false, "as it will be once the staged change is published")
	f.BoolVar(&o.archived, "archived", false, "what lies in cold roles instead (see archive)")
	f.BoolVar(&o.history, "history", false, "what each version of targets changed")
	o.remote.add(f)
	return cmd
}

type listResult struct {
	Schema  int        `json:"schema"`
	Version int64      `json:"targets_version"`
	Targets []repo.Row `json:"targets"`
	// Others are target paths of another form, which agents do not ask for.
	Others []string `json:"others,omitempty"`
}

func (o listOptions) wants(r repo.Row) bool {
	ok := func(list []string, s string) bool { return len(list) == 0 || slices.Contains(list, s) }
	return ok(o.names, r.Name) && ok(o.platforms, r.Platform) && ok(o.channels, r.Channel)
}

func (a *app) runList(ctx context.Context, args []string, o listOptions) error {
	if o.archived && o.history {
		return usagef("--history shows what targets.json was; --archived does not go with it")
	}
	if o.history && o.staged {
		return usagef("--history shows what was published; --staged does not go with it")
	}
	if len(args) == 1 && (remote.IsURL(args[0]) || remote.IsWebRoot(args[0])) {
		return a.runListRemote(ctx, args[0], o)
	}
	if err := o.remote.needsURL(); err != nil {
		return err
	}
	if len(args) == 1 {
		a.path = args[0]
	}
	w, err := a.look()
	if err != nil {
		return err
	}
	if err := w.NeedPublished(); err != nil {
		return err
	}
	if o.history {
		return a.listHistory(w, o)
	}
	t := w.Published.Targets
	if o.staged {
		if w.Staged == nil || w.Staged.Targets() == nil {
			return repo.ErrNothingStaged
		}
		t = w.Staged.Targets()
	}
	if o.archived {
		return a.listArchived(w, o)
	}
	if err := a.printList(t, o); err != nil {
		return err
	}
	if s := w.Published.ColdSummary(); s != nil && s.Targets > 0 {
		a.note("and %d targets in %d cold roles; --archived shows them", s.Targets, s.Roles)
	}
	return nil
}

// listArchived shows what the cold roles hold.
func (a *app) listArchived(w *workflow.Session, o listOptions) error {
	c := w.Staged
	if !o.staged {
		c = nil
	}
	rows, err := w.Published.ArchivedRows(c)
	if err != nil {
		return err
	}
	return a.printRows(listResult{Schema: 1, Version: w.Published.Targets.Version()}, rows, o)
}

// runListRemote shows what a server gives out as far as it verifies; what is wrong
// with the rest is an error, told after the table.
func (a *app) runListRemote(ctx context.Context, url string, o listOptions) error {
	if o.history || o.staged || o.archived {
		return usagef("--history, --staged and --archived look at a working folder, not at what is served")
	}
	rr, err := a.lookAt(ctx, url, o.remote)
	if err != nil {
		return err
	}
	if rr.Targets != nil {
		if err := a.printList(rr.Targets, o); err != nil {
			return err
		}
	}
	for _, f := range rr.Report.Findings {
		a.note("%s", f)
	}
	if n := rr.Report.Count(verify.Error); n > 0 {
		return &remote.UnverifiedError{Report: rr.Report}
	}
	return nil
}

func (a *app) printList(t *repo.Targets, o listOptions) error {
	rows, others, err := t.Rows()
	if err != nil {
		return err
	}
	return a.printRows(listResult{Schema: 1, Version: t.Version(), Others: others}, rows, o)
}

func (a *app) printRows(res listResult, rows []repo.Row, o listOptions) error {
	rows = slices.DeleteFunc(rows, func(r repo.Row) bool { return !o.wants(r) })
	res.Targets = rows
	if res.Targets == nil {
		res.Targets = []repo.Row{}
	}
	return a.print(res, func(out *prompt.Writer) {
		channelTable(rows).write(out, o.markdown)
		for _, p := range res.Others {
			a.note("not a path that agents ask for: %s", prompt.Path(p))
		}
	})
}
