package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/fleet-hsm/fleet-hsm/ceremony"
	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/prompt"
	"github.com/fleet-hsm/fleet-hsm/repo"
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
	requests, err := w.readForAttach(files)
	if err != nil {
		return err
	}
	if w.Staged == nil {
		return repo.ErrNothingStaged
	}
	added := map[string][]tuf.KeyID{}
	for i, q := range requests {
		merged, err := w.Staged.Merge(q.Change)
		if err != nil {
			return ofRequest(files[i], named(files[i], err))
		}
		w.nameMerged(files[i], q, merged)
		for role, m := range merged {
			if len(m.Added) > 0 {
				added[role] = append(added[role], m.Added...)
			}
		}
	}
	if err := w.Repo.Save(w.Staged); err != nil {
		return err
	}
	w.NameTallies(w.Staged)
	if err := w.Keys.ShortOf(w.Staged); err != nil {
		return err
	}
	if commit {
		versions, err := w.commitStaged(ctx, commitOptions{})
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

// readForAttach checks every file before anything is taken from one of them. What a
// request was made on is looked at first: it explains best what has happened since.
func (w *work) readForAttach(files []string) ([]*ceremony.Request, error) {
	var requests []*ceremony.Request
	for _, file := range files {
		q, err := readRequest(file, w.Repo.Now())
		if err != nil {
			return nil, err
		}
		if err := w.Repo.Foreign(w.Published, q.Imported); err != nil {
			return nil, ofRequest(file, named(file, err))
		}
		requests = append(requests, q)
	}
	return requests, nil
}

func (w *work) nameMerged(file string, q *ceremony.Request, merged map[string]repo.Merged) {
	for _, s := range q.Change.Warnings {
		w.a.warn("%q: %s", file, s)
	}
	news := 0
	for _, d := range w.Staged.Docs() {
		for _, id := range merged[d.Role()].Added {
			news++
			w.a.note("%s: signature of key %s over %s v%d", file, nameID(w.Keys, id), d.Role(), d.Version())
		}
	}
	if news == 0 {
		w.a.note("%s: no signature that is not here already", file)
	}
}
