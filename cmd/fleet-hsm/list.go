package main

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fleet-hsm/fleet-hsm/prompt"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/verify"
)

type listOptions struct {
	names, platforms, channels []string
	markdown, staged, history  bool
	served                     servedFlags
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
	f.BoolVar(&o.history, "history", false, "what each version of targets changed")
	o.served.add(f)
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
	if o.history && o.staged {
		return usagef("--history shows what was published; --staged does not go with it")
	}
	if len(args) == 1 && (strings.Contains(args[0], "://") || isWebRoot(args[0])) {
		return a.runListServed(ctx, args[0], o)
	}
	if err := o.served.needsURL(); err != nil {
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
		return w.listHistory(o)
	}
	t := w.Published.Targets
	if o.staged {
		if w.Staged == nil || w.Staged.Targets() == nil {
			return repo.ErrNothingStaged
		}
		t = w.Staged.Targets()
	}
	return a.printList(t, o)
}

// runListServed shows what a server gives out as far as it verifies; what is wrong
// with the rest is an error, told after the table.
func (a *app) runListServed(ctx context.Context, url string, o listOptions) error {
	if o.history || o.staged {
		return usagef("--history and --staged look at a working folder, not at what is served")
	}
	sv, err := a.served(ctx, url, o.served)
	if err != nil {
		return err
	}
	if sv.targets != nil {
		if err := a.printList(sv.targets, o); err != nil {
			return err
		}
	}
	for _, f := range sv.report.Findings {
		a.note("%s", f)
	}
	if n := sv.report.Count(verify.Error); n > 0 {
		return &unverified{source: sv.report.Source, errors: n}
	}
	return nil
}

func (a *app) printList(t *repo.Targets, o listOptions) error {
	rows, others, err := t.Rows()
	if err != nil {
		return err
	}
	rows = slices.DeleteFunc(rows, func(r repo.Row) bool { return !o.wants(r) })
	res := listResult{Schema: 1, Version: t.Version(), Targets: rows, Others: others}
	if res.Targets == nil {
		res.Targets = []repo.Row{}
	}
	return a.print(res, func(out *prompt.Writer) {
		channelTable(rows).write(out, o.markdown)
		for _, p := range others {
			a.note("not a path that agents ask for: %s", prompt.Path(p))
		}
	})
}
