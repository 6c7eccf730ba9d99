package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/prompt"
	"github.com/fleet-hsm/fleet-hsm/review"
	"github.com/fleet-hsm/fleet-hsm/workflow"
)

func (a *app) attachCommand() *cobra.Command {
	var commit bool
	cmd := &cobra.Command{
		Use:   "attach FILE...",
		Short: "Take the signatures of requests that come back into the staged change",
		Long: `attach adds the signatures of signed requests to what is staged here. The order of
the files does not matter, nor does attaching one twice. A request of another
repository, of an older state, or of another change is refused with the reason, and
then nothing is taken from any file. "fleet-hsm commit", or --commit, publishes.`,
		Example: `  fleet-hsm attach change.request
  fleet-hsm attach alice.request bob.request`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			a.requestFrom(cmd.Flags().Changed("path"))
			return a.runAttach(cmd.Context(), args, commit)
		},
	}
	cmd.Flags().BoolVar(&commit, "commit", false, "publish the change if it has all its signatures then")
	return cmd
}

func (a *app) runAttach(ctx context.Context, files []string, commit bool) error {
	w, err := a.open(ctx, "attach")
	if err != nil {
		return err
	}
	defer w.End()
	added := map[string][]tuf.KeyID{}
	err = w.Attach(files, func(at workflow.Attached) {
		a.nameMerged(w, at)
		for role, m := range at.Merged {
			if len(m.Added) > 0 {
				added[role] = append(added[role], m.Added...)
			}
		}
	})
	if err != nil {
		return err
	}
	w.NameTallies(w.Staged)
	if err := w.Keys.ShortOf(w.Staged); err != nil {
		return err
	}
	if commit {
		versions, err := w.CommitStaged(ctx, workflow.PublishOptions{})
		if err != nil {
			return err
		}
		return a.report("attach", versions)
	}
	a.note(`everything is signed; "fleet-hsm commit" publishes it`)
	res := a.requested("attach", w.Staged, files...)
	res.Added = added
	return a.print(res, func(*prompt.Writer) {})
}

func (a *app) nameMerged(w *workflow.Session, at workflow.Attached) {
	for _, s := range at.Request.Change.Warnings {
		a.warn("%q: %s", at.File, s)
	}
	news := 0
	for _, d := range w.Staged.Docs() {
		for _, id := range at.Merged[d.Role()].Added {
			news++
			a.note("%s: signature of key %s over %s v%d", at.File, review.NameID(w.Keys, id), d.Role(), d.Version())
		}
	}
	if news == 0 {
		a.note("%s: no signature that is not here already", at.File)
	}
}
