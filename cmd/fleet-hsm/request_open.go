package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/fleet-hsm/fleet-hsm/ceremony"
	"github.com/fleet-hsm/fleet-hsm/config"
	"github.com/fleet-hsm/fleet-hsm/internal/atomicfile"
	"github.com/fleet-hsm/fleet-hsm/prompt"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/workflow"
)

func readRequest(file string, now time.Time) (*ceremony.Request, error) {
	data, err := config.ReadBounded(file, ceremony.MaxRequest)
	if err != nil {
		return nil, usage(fmt.Errorf("%q: %w", file, err))
	}
	q, err := ceremony.Parse(file, data, now)
	return q, ofRequest(file, err)
}

// openRequest reads a request for review or sign: it is checked against the root that
// this machine trusts, and pinned tells whether there is one.
func (a *app) openRequest(file, rootFile string) (q *ceremony.Request, pinned bool, err error) {
	keys, err := a.plain()
	if err != nil {
		return nil, false, err
	}
	if q, err = readRequest(file, time.Now()); err != nil {
		return nil, false, err
	}
	for _, s := range q.Change.Warnings {
		a.warn("%s", s)
	}
	keys.Hints = hintsOf(q.Hints)
	if rootFile == "" {
		rootFile = a.cfg.Beside(a.cfg.TrustedRoot)
	}
	if rootFile == "" {
		a.sayTrust(q)
		return q, false, nil
	}
	data, err := config.ReadBounded(rootFile, repo.MaxRootSize)
	if err != nil {
		return nil, false, usage(fmt.Errorf("trusted root %q: %w", rootFile, err))
	}
	return q, true, ofRequest(file, q.Trust(rootFile, data))
}

// sayTrust tells which root everything else rests on when none is pinned.
func (a *app) sayTrust(q *ceremony.Request) {
	if len(q.Chain) == 0 {
		a.say("This request is for a new repository: there is no published root to compare it with.")
		return
	}
	first, last := q.Chain[0], q.Chain[len(q.Chain)-1]
	a.say("No root is pinned (--root FILE, or trusted-root: in the configuration), so this request's own root v%d is trusted:", first.Version)
	for _, line := range groups(first.Hash) {
		a.say("    %s", line)
	}
	if last.Version > first.Version {
		a.say("It leads to root v%d, which is published now:", last.Version)
		for _, line := range groups(last.Hash) {
			a.say("    %s", line)
		}
	}
}

// requestCard is the sign card of a request; what its sender says is marked as such.
func (a *app) requestCard(q *ceremony.Request) (repo.Card, error) {
	card, err := q.Card(a.cfg.Expiries, time.Now())
	if err != nil {
		return repo.Card{}, err
	}
	w, err := a.work("review")
	if err != nil {
		return repo.Card{}, err
	}
	card.Intents, card.Staged = nil, nil
	for _, s := range q.Change.Intents {
		card.Intents = append(card.Intents, senderSays+s)
	}
	w.WarnUnattested(&card, q.Change, w.Keys.Hints)
	return card, nil
}

func (a *app) reviewRequest(file, rootFile string) error {
	q, _, err := a.openRequest(file, rootFile)
	if err != nil {
		return err
	}
	card, err := a.requestCard(q)
	if err != nil {
		return err
	}
	return a.print(cardResult{Schema: 1, Card: card}, func(out *prompt.Writer) { a.showCard(out, card, a.keys) })
}

// signRequest signs a request with the keys within reach of this machine.
func (a *app) signRequest(ctx context.Context, file string, o signOptions) error {
	q, pinned, err := a.openRequest(file, o.root)
	if err != nil {
		return err
	}
	st, err := os.Stat(file)
	if err != nil {
		return err
	}
	w, err := a.work("sign " + filepath.Base(file))
	if err != nil {
		return err
	}
	if err := a.log.Start("sign " + filepath.Base(file)); err != nil {
		return err
	}
	if err := o.use(w.Keys); err != nil {
		return err
	}
	s := &workflow.Signing{
		Session: w.Session, Change: q.Change, Role: o.role, Reviewed: o.reviewed,
		Review: func() (repo.Card, error) { return a.requestCard(q) },
		Keep: func() error {
			data, err := q.Bytes()
			if err != nil {
				return err
			}
			return atomicfile.Write(file, data, st.Mode().Perm())
		},
		Done: fmt.Sprintf(`everything is signed; "fleet-hsm attach %s" and "fleet-hsm commit" where the repository is`, file),
	}
	if !pinned && len(q.Chain) > 0 {
		s.Trust = "Is this the root of the repository that you know?"
	}
	if err := s.Run(ctx); err != nil {
		return err
	}
	return a.print(a.requested("sign", q.Change, file), func(*prompt.Writer) {})
}
