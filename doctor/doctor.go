package doctor

import (
	"context"
	"fmt"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/signer"
	"github.com/fleet-hsm/fleet-hsm/store"
	"github.com/fleet-hsm/fleet-hsm/workflow"
)

// Finding is what was found out about one subject.
type Finding struct {
	// Subject is a key URI, a store, or a word such as "repository".
	Subject string
	signer.Finding
	// Store is what a probe of a store found, nil for another finding.
	Store *store.Finding
}

// Repository is the subject of what concerns the folder.
const Repository = "repository"

// Bad is a finding that something is wrong.
func Bad(subject, code string, err error) Finding {
	return Finding{Subject: subject, Finding: signer.Finding{Code: code, Text: err.Error(), Err: err}}
}

// Good is a finding that something is as it should be.
func Good(subject, code, format string, args ...any) Finding {
	return Finding{Subject: subject, Finding: signer.Finding{Code: code, OK: true, Text: fmt.Sprintf(format, args...)}}
}

// Examination looks at the repository and keys of a session. Found grows with each step.
type Examination struct {
	Session *workflow.Session
	// Sign also signs something with each key.
	Sign  bool
	Found []Finding
}

func (e *Examination) add(f ...Finding) { e.Found = append(e.Found, f...) }

// Repository looks at the folder, and gives the keys that its root names, wherever they may
// be; none of a folder that does not load.
func (e *Examination) Repository() ([]signer.Ref, error) {
	w := e.Session
	p, err := w.Repo.LoadOnline()
	if err != nil {
		e.add(Bad(Repository, "repository", err))
		return nil, nil //nolint:nilerr // it is a finding
	}
	e.add(Good(Repository, "repository", "root v%d, snapshot v%d and timestamp v%d verify", p.Root.Version(), p.Snapshot.Version(), p.Timestamp.Version()))
	e.dates(p)
	if err := e.history(p); err != nil {
		return nil, err
	}
	for _, s := range w.Keys.OnOneDevice(p.Root, nil) {
		e.add(Finding{Subject: Repository, Finding: signer.Finding{Code: "one-device", OK: true, Warning: true, Text: s}})
	}
	return keysOf(w.Keys, p.Root), nil
}

func (e *Examination) dates(p *repo.Published) {
	now := e.Session.Repo.Now()
	for _, role := range []string{meta.RoleRoot, meta.RoleSnapshot, meta.RoleTimestamp} {
		if err := p.Expired(now, role); err != nil {
			e.add(Bad(Repository, "expired", err))
		}
	}
	for _, s := range p.Warnings {
		e.add(Finding{Subject: Repository, Finding: signer.Finding{Code: "inconsistent", Text: s}})
	}
}

func (e *Examination) history(p *repo.Published) error {
	w := e.Session
	w.Published = p
	if whole, err := w.Repo.Load(); err == nil {
		w.Published = whole
	}
	found, err := w.Standing()
	for _, f := range found {
		e.add(Bad(Repository, "history", f))
	}
	return err
}

// Store writes files of its own to a store and removes them.
func (e *Examination) Store(ctx context.Context, s store.Store) {
	for _, f := range store.Probe(ctx, s) {
		e.add(Finding{s.String(), signer.Finding{Code: f.Code, OK: f.OK, Text: f.Text, Err: f.Err}, &f})
	}
}
