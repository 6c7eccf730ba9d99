package main

import (
	"errors"
	"io/fs"
	"path/filepath"

	"github.com/fleet-hsm/fleet-hsm/ceremony"
	"github.com/fleet-hsm/fleet-hsm/internal/atomicfile"
	statuspage "github.com/fleet-hsm/fleet-hsm/page"
	"github.com/fleet-hsm/fleet-hsm/remote"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/status"
	"github.com/fleet-hsm/fleet-hsm/workflow"
)

// pageOf collects what the page shows of the folder of a session.
func (a *app) pageOf(w *workflow.Session, r *status.Report) (statuspage.Input, error) {
	in := statuspage.Input{Title: a.path, Now: a.now(), Report: r, Next: nextOf(r)}
	if full, err := filepath.Abs(a.path); err == nil {
		in.Title = filepath.Base(full)
	}
	var err error
	if w.Published.Targets != nil {
		if in.Targets, _, err = w.Published.Targets.Rows(); err != nil {
			return in, err
		}
	}
	if in.Roots, err = w.Repo.Roots(w.Published); err != nil {
		return in, err
	}
	log, err := a.transcriptPath()
	if err != nil || log == "" {
		return in, err
	}
	in.Transcript = true
	in.Events, _, err = ceremony.ReadTranscript(log)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return in, err
}

// pageOfRemote collects what the page shows of what a server gives out.
func (a *app) pageOfRemote(rr *remote.Repository, r *status.Report) (statuspage.Input, error) {
	in := statuspage.Input{Title: r.Source, Now: a.now(), Report: r, Next: nextOf(r)}
	if rr.Root != nil {
		in.Roots = []*meta.Root{rr.Root}
	}
	if rr.Targets == nil {
		return in, nil
	}
	var err error
	in.Targets, _, err = rr.Targets.Rows()
	return in, err
}

func nextOf(r *status.Report) []statuspage.Next {
	var next []statuspage.Next
	for _, s := range stepsOf(r.Next) {
		next = append(next, statuspage.Next{Command: s.Command, Why: s.Why})
	}
	return next
}

// writePage writes the page, whole or not at all.
func (a *app) writePage(file string, in statuspage.Input) error {
	data, err := statuspage.Make(in)
	if err != nil {
		return err
	}
	if err := atomicfile.Write(file, data, 0o644); err != nil {
		return err
	}
	a.note("wrote %s, %d bytes", file, len(data))
	return nil
}
