package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/fleet-hsm/fleet-hsm/internal/nearest"
	"github.com/fleet-hsm/fleet-hsm/prompt"
	"github.com/fleet-hsm/fleet-hsm/remote"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/verify"
	"github.com/fleet-hsm/fleet-hsm/workflow"
)

type listOptions struct {
	names, platforms, channels []string
	markdown, staged, history  bool
	archived, versions         bool
	remote                     remoteFlags
}

func (a *app) listCommand() *cobra.Command {
	var o listOptions
	cmd := &cobra.Command{
		Use:   "list [DIR|URL]",
		Short: "Show which version each channel has, by component and platform",
		Long: `list shows what targets.json says: a component and platform a line, a channel a
column; versions, which are channels too, with --versions or where there is nothing else. DIR is another working folder, or a folder as a server gives it out. A URL is
checked from the root that --root trusts, such a folder from its oldest. --history shows what every kept version changed (folders
with consistent snapshots keep them).`,
		Example: `  fleet-hsm list
  fleet-hsm list --versions
  fleet-hsm list --channel stable --markdown
  fleet-hsm list https://updates.example.com --root root.json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.runList(cmd.Context(), args, o) },
	}
	f := cmd.Flags()
	f.Var((*many)(&o.names), "name", "only this component (may be given more than once)")
	f.Var((*many)(&o.platforms), "platform", "only this platform")
	f.Var((*many)(&o.channels), "channel", "only this channel")
	f.BoolVar(&o.versions, "versions", false, "with a column for each version, which is a channel too")
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
	Targets []meta.Row `json:"targets"`
	// Others are target paths of another form, which agents do not ask for.
	Others []string `json:"others,omitempty"`
}

func (o listOptions) wants(r meta.Row) bool {
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

func (a *app) printList(t *meta.Targets, o listOptions) error {
	rows, others, err := t.Rows()
	if err != nil {
		return err
	}
	return a.printRows(listResult{Schema: 1, Version: t.Version(), Others: others}, rows, o)
}

func (a *app) printRows(res listResult, rows []meta.Row, o listOptions) error {
	all := rows
	rows = slices.DeleteFunc(slices.Clone(rows), func(r meta.Row) bool { return !o.wants(r) })
	res.Targets = rows
	if res.Targets == nil {
		res.Targets = []meta.Row{}
	}
	if len(rows) == 0 {
		a.note("%s", o.nothing(all))
	}
	return a.print(res, func(out *prompt.Writer) {
		if len(rows) > 0 {
			grid, hidden := meta.Channels(rows, o.versions || len(o.channels) > 0)
			writeTable(out, channelRows(grid), o.markdown)
			if hidden > 0 && out.Terminal() {
				a.note("and %d versions, which are channels too: --versions shows them", hidden)
			}
		}
		for _, p := range res.Others {
			a.note("not a path that agents ask for: %s", prompt.Path(p))
		}
	})
}

// nothing says why no line is shown, and what may have been meant.
func (o listOptions) nothing(all []meta.Row) string {
	if len(all) == 0 {
		return "no target is published"
	}
	for _, f := range []struct {
		flag  string
		words []string
		of    func(meta.Row) string
	}{
		{"name", o.names, func(r meta.Row) string { return r.Name }},
		{"platform", o.platforms, func(r meta.Row) string { return r.Platform }},
		{"channel", o.channels, func(r meta.Row) string { return r.Channel }},
	} {
		var known []string
		for _, r := range all {
			known = append(known, f.of(r))
		}
		for _, w := range f.words {
			if slices.Contains(known, w) {
				continue
			}
			if near := nearest.To(w, known); near != "" {
				return fmt.Sprintf("no target has the %s %q; did you mean %q?", f.flag, w, near)
			}
			return fmt.Sprintf("no target has the %s %q", f.flag, w)
		}
	}
	return "no target is all of that"
}
