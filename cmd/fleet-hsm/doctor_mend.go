package main

import (
	"context"

	"github.com/fleet-hsm/fleet-hsm/doctor"
	"github.com/fleet-hsm/fleet-hsm/status"
)

// mend puts a folder in order over which an older copy was laid, without any key.
func (a *app) mend(ctx context.Context, giveUp bool) error {
	w, err := a.session("doctor")
	if err != nil {
		return err
	}
	if err := w.BeginToMend(ctx); err != nil {
		return err
	}
	defer w.End()
	m, err := w.Repo.Mend(giveUp)
	if err != nil {
		for _, s := range m.Done {
			a.note("%s", s)
		}
		return err
	}
	var found []doctor.Finding
	for _, s := range m.Done {
		found = append(found, doctor.Good(doctor.Repository, "mended", "%s", s))
	}
	if len(found) == 0 {
		found = append(found, doctor.Good(doctor.Repository, "mended", "nothing in the folder needs mending"))
	}
	res := resultOf(found)
	if err := a.print(res, res.text); err != nil {
		return err
	}
	if w.Published, err = w.Repo.Load(); err != nil {
		return err
	}
	for _, s := range stepsOf(status.AfterMending(w)) {
		a.note("next: %q: %s", s.Command, s.Why)
	}
	return nil
}
