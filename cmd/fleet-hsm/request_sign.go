package main

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/fleet-hsm/fleet-hsm/ceremony"
	"github.com/fleet-hsm/fleet-hsm/prompt"
	"github.com/fleet-hsm/fleet-hsm/review"
	"github.com/fleet-hsm/fleet-hsm/workflow"
)

// openRequest opens a request for review or sign, and says what it rests on.
func (a *app) openRequest(command, file, rootFile string) (*workflow.Session, *ceremony.Request, bool, error) {
	w, err := a.session(command)
	if err != nil {
		return nil, nil, false, err
	}
	q, pinned, err := w.OpenRequest(file, rootFile)
	if err == nil && !pinned {
		a.sayTrust(q)
	}
	return w, q, pinned, err
}

// sayTrust tells which root everything else rests on when none is pinned.
func (a *app) sayTrust(q *ceremony.Request) {
	if len(q.Chain) == 0 {
		a.say("This request is for a new repository: there is no published root to compare it with.")
		return
	}
	first, last := q.Chain[0], q.Chain[len(q.Chain)-1]
	a.say("No root is pinned (--root FILE, or trusted-root: in the configuration), so this request's own root v%d is trusted:", first.Version)
	for _, line := range review.Groups(first.Hash) {
		a.say("    %s", line)
	}
	if last.Version > first.Version {
		a.say("It leads to root v%d, which is published now:", last.Version)
		for _, line := range review.Groups(last.Hash) {
			a.say("    %s", line)
		}
	}
}

func (a *app) reviewRequest(file, rootFile string) error {
	w, q, _, err := a.openRequest("review", file, rootFile)
	if err != nil {
		return err
	}
	// What lies beside a request steers nothing: the repository is looked at where it was named.
	if a.pathNamed {
		if err := w.RefusePublished(file, q); err != nil {
			return err
		}
	}
	r, err := w.ReviewRequest(q)
	if err != nil {
		return err
	}
	return a.printReview(r)
}

// signRequest signs a request with the keys within reach of this machine.
func (a *app) signRequest(ctx context.Context, file string, o signOptions) error {
	w, q, pinned, err := a.openRequest("sign "+filepath.Base(file), file, o.root)
	if err != nil {
		return err
	}
	s, err := w.SigningOf(file, q, pinned)
	if err != nil {
		return err
	}
	if err := o.use(w.Keys); err != nil {
		return err
	}
	s.Role, s.Reviewed = o.role, o.reviewed
	s.Done = fmt.Sprintf(`everything is signed; "fleet-hsm attach %s" and "fleet-hsm commit" where the repository is`, file)
	if err := s.Run(ctx); err != nil {
		return err
	}
	return a.print(a.requested("sign", q.Change, file), func(*prompt.Writer) {})
}
