package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

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

// checkPage refuses a page among the files that agents read, and one whose folder is not
// there: what is published before it is written cannot be taken back.
func (a *app) checkPage(file string) error {
	page, err := filepath.Abs(file)
	if err != nil {
		return err
	}
	web, err := filepath.Abs(a.within("repository"))
	if err != nil {
		return err
	}
	if in, err := filepath.Rel(web, page); err == nil && filepath.IsLocal(in) {
		return usagef("page %q: repository/ is what agents read; put the page beside it", file)
	}
	st, err := os.Stat(filepath.Dir(page))
	if err != nil {
		return usage(fmt.Errorf("page %q: %w", file, err))
	}
	if !st.IsDir() {
		return usagef("page %q: %q is not a folder", file, filepath.Dir(page))
	}
	return nil
}

// writePage writes the page, whole or not at all.
func (a *app) writePage(file string, in statuspage.Input) error {
	if err := a.checkPage(file); err != nil {
		return err
	}
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

// pageOfPublished writes the page of the folder whose repository was just published.
func (a *app) pageOfPublished(w *workflow.Session, file string) error {
	if err := w.Load(); err != nil {
		return err
	}
	r, err := status.Of(w, a.checkClock())
	if err != nil {
		return err
	}
	in, err := a.pageOf(w, r)
	if err != nil {
		return err
	}
	return a.writePage(file, in)
}

// pageEvery is how old the page of the unattended signer gets.
const pageEvery = time.Hour

// keepPage writes the page of what the store gives out after good checks, once an hour. A page
// that fails is told, and stops no signature.
func (a *app) keepPage(ctx context.Context, file, place, caFile string, root []byte, log *slog.Logger) func(bool) {
	var written time.Time
	return func(ok bool) {
		if !ok || a.now().Sub(written) < pageEvery {
			return
		}
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		if err := a.pageOfStore(ctx, file, place, caFile, root); err != nil {
			log.Warn("the page was not written", "file", file, "error", err)
			return
		}
		written = a.now()
	}
}

func (a *app) pageOfStore(ctx context.Context, file, place, caFile string, root []byte) error {
	rr, err := remote.Look(ctx, remote.LookOptions{Source: place, Root: root, CAFile: caFile})
	if err != nil {
		return err
	}
	in, err := a.pageOfRemote(rr, status.OfRemote(rr, a.cfg, a.now()))
	if err != nil {
		return err
	}
	data, err := statuspage.Make(in)
	if err != nil {
		return err
	}
	return atomicfile.Write(file, data, 0o644)
}
