package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/fleet-hsm/fleet-hsm/prompt"
	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/workflow"
)

type pruneOptions struct {
	keep   int
	older  optionalDuration
	dryRun bool
	changeFlags
}

func (a *app) pruneCommand() *cobra.Command {
	var o pruneOptions
	cmd := &cobra.Command{
		Use:   "prune",
		Short: "Take old versions out for good, from targets.json and from the archive",
		Long: `prune signs targets, and the cold roles of the archive, without old versions: all but
the newest --keep of each component and platform, or those that were published here
before --older-than; with both, what is neither. What a channel or "pinned:" in the
configuration names always stays. The bytes stay in repository/targets until "fleet-hsm gc"
drops them, after the grace that agents need. An agent that is pinned to a version which
is gone keeps what it has installed, and gets no update of that component.`,
		Example: `  fleet-hsm prune --keep 30 --dry-run
  fleet-hsm prune --older-than 730d`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runPrune(cmd.Context(), o) },
	}
	f := cmd.Flags()
	f.IntVar(&o.keep, "keep", 0, "how many of the newest versions stay, for each component and platform")
	f.Var(&o.older, "older-than", "only what was published here longer ago than this")
	takesNothing(f, "older-than", "whatever its age")
	f.BoolVar(&o.dryRun, "dry-run", false, "only list it")
	o.changeFlags.add(f, meta.RoleTargets, meta.RoleSnapshot, meta.RoleTimestamp)
	return cmd
}

// pruneResult is prune with --json.
type pruneResult struct {
	committed
	DryRun bool          `json:"dry_run"`
	Pruned []edit.Pruned `json:"pruned"`
}

// prune reads what the flags ask for.
func (o pruneOptions) prune(w *workflow.Session) (edit.Pruning, error) {
	pr := edit.Pruning{Retention: w.Config.Keeps(o.keep, 0)}
	switch {
	case o.keep < 0:
		return pr, usagef("--keep %d: at least the newest version stays", o.keep)
	case o.keep == 0 && !o.older.given:
		return pr, usagef("prune needs --keep N or --older-than DURATION")
	}
	if o.keep == 0 {
		pr.Keep = 1 // of age alone the newest is never a victim
	}
	if o.older.given {
		pr.Before = w.Repo.Now().Add(-o.older.value())
	}
	return pr, nil
}

func (a *app) runPrune(ctx context.Context, o pruneOptions) error {
	if o.dryRun {
		return a.runPruneDry(o)
	}
	w, err := a.openToChange(ctx, "prune", o.changeFlags, rootInForce)
	if err != nil {
		return err
	}
	defer w.End()
	w.UnlockWhileAsking()
	pr, err := o.prune(w)
	if err != nil {
		return err
	}
	c, gone, undated, err := edit.Prune(w.Repo, w.Published, w.Staged, pr, w.StageOptions(o.allowShorter))
	a.tellUndated(undated)
	if err != nil {
		return err
	}
	for _, g := range gone {
		a.note("pruning %s", prompt.Path(g.Path))
	}
	if err := a.confirm(ctx, w, fmt.Sprintf("Take %d targets out?", len(gone))); err != nil {
		return err
	}
	versions, err := w.FinishTargets(ctx, c, o.stageOnly, o.allowShorter)
	if err != nil {
		return err
	}
	return a.print(pruneResult{committed: a.committed("prune", versions), Pruned: gone}, func(*prompt.Writer) {})
}

// runPruneDry lists what prune would take out. It takes no lock and writes nothing.
func (a *app) runPruneDry(o pruneOptions) error {
	w, err := a.lookPublished()
	if err != nil {
		return err
	}
	pr, err := o.prune(w)
	if err != nil {
		return err
	}
	_, gone, undated, err := edit.Prune(w.Repo, w.Published, w.Staged, pr, w.StageOptions(o.allowShorter))
	a.tellUndated(undated)
	if err != nil {
		return err
	}
	res := pruneResult{committed: a.committed("prune", nil), DryRun: true, Pruned: gone}
	return a.print(res, func(out *prompt.Writer) {
		var bytes int64
		for _, g := range gone {
			bytes += g.Length
			out.Printf("%s\n", prompt.Path(g.Path))
		}
		a.note("would take %d targets out, %s of content before gc finds which of it nothing else names", len(gone), prompt.Size(bytes))
	})
}

func (a *app) tellUndated(n int) {
	if n > 0 {
		a.note("%d targets stay because their content is not here, and so nothing tells their age", n)
	}
}
