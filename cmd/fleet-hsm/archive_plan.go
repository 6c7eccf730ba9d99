package main

import (
	"context"

	"github.com/fleet-hsm/fleet-hsm/prompt"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/edit"
)

// runArchivePlan says what archive would do. It takes no lock and writes nothing; keys
// that --cold-key names are stood in for.
func (a *app) runArchivePlan(_ context.Context, o archiveOptions) error {
	w, err := a.lookPublished()
	if err != nil {
		return err
	}
	ar, err := o.archive(w)
	if err != nil {
		return err
	}
	if ar.Keys, err = w.StandInColdKeys(o.coldKeys); err != nil {
		return err
	}
	c, res, err := edit.Archive(w.Repo, w.Published, w.Staged, ar, w.StageOptions(o.allowShorter))
	if err != nil {
		return err
	}
	if err := w.Repo.CheckRelease(w.Published, c, repo.ReleaseOptions{Expiries: w.Config.Expiries, AllowShorter: o.allowShorter}); err != nil {
		return err
	}
	effort, err := w.EffortOf(c)
	if err != nil {
		return err
	}
	out := &archiveResult{ArchiveResult: res, Effort: effort}
	out.committed, out.DryRun = a.committed("archive", nil), true
	a.tellArchive(w, o, res)
	return a.print(out, func(to *prompt.Writer) {
		out.text(to, o)
		out.list(to)
	})
}
