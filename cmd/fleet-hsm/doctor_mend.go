package main

import (
	"context"

	"github.com/fleet-hsm/fleet-hsm/prompt"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

// mend puts a folder in order over which an older copy was laid, without any key.
func (a *app) mend(ctx context.Context, giveUp bool) error {
	w, err := a.begin(ctx, "doctor")
	if err != nil {
		return err
	}
	defer w.End()
	m, err := w.Repo.Mend(giveUp)
	res := &doctorResult{Schema: 1, Findings: []checked{}}
	for _, s := range m.Done {
		res.add("repository", signer.Finding{Code: "mended", OK: true, Text: s})
	}
	if err != nil {
		for _, s := range m.Done {
			a.note("%s", s)
		}
		return err
	}
	if len(m.Done) == 0 {
		res.add("repository", signer.Finding{Code: "mended", OK: true, Text: "nothing in the folder needs mending"})
	}
	if err := a.print(res, func(out *prompt.Writer) { res.text(out) }); err != nil {
		return err
	}
	if w.Published, err = w.Repo.Load(); err != nil {
		return err
	}
	for _, s := range w.nextMended() {
		a.note("next: %q: %s", s.Command, s.Why)
	}
	return nil
}

// nextMended names what only a key can do after a mending.
func (w *work) nextMended() []step {
	switch {
	case w.Published.NeedsTargets():
		return []step{{"fleet-hsm rotate targets --renew", "signs targets, snapshot and timestamp above what agents have seen; add does so too"}}
	case w.Published.NeedsTimestamp():
		return []step{{"fleet-hsm timestamp", "signs a timestamp over the snapshot that is here"}}
	}
	return nil
}

// checkStanding says what is wrong with the history in the folder: files that went back,
// versions that are lost, roots that are missing.
func (w *work) checkStanding() ([]error, error) {
	found, err := w.Repo.Standing(w.Published)
	if err != nil {
		return nil, err
	}
	err = w.Repo.CheckChain(w.Published)
	if err != nil && !as[*repo.RefusedError](err) {
		return nil, err
	}
	if err != nil {
		found = append(found, err)
	}
	return found, nil
}

// nextStanding names the command that leads out of it.
func nextStanding(found []error) []step {
	if len(found) == 0 {
		return nil
	}
	return []step{{"fleet-hsm doctor --mend", found[0].Error()}}
}
