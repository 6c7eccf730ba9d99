package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fleet-hsm/fleet-hsm/keyring"
	"github.com/fleet-hsm/fleet-hsm/repo"
)

type signOptions struct {
	role     string
	key      []string
	reviewed []string
	root     string
	keys     roleKeyFlags
}

func (a *app) signCommand() *cobra.Command {
	var o signOptions
	cmd := &cobra.Command{
		Use:   "sign [FILE]",
		Short: "Sign what is staged, or a request, with the keys within reach",
		Long: `sign shows the sign card and asks before any device is used. Without a terminal it
needs --reviewed HASH, as "fleet-hsm review" printed it, once for each role that
signs. When every threshold is met, "fleet-hsm commit" publishes the change.

FILE is a request that came from elsewhere ("fleet-hsm request"): it is checked from
its first root downwards, signed, and written again. No repository and no network is
needed. Pin the root you trust with --root, or with trusted-root: in the configuration;
otherwise sign says which root the request rests on. The configuration is your own:
--config, or fleet-hsm/fleet-hsm.yaml in your configuration folder, never one that lies
beside the request. Keys are taken from --key, the configuration, keys/ROLE.json, and
from whatever token is plugged in and holds one.`,
		Example: `  fleet-hsm sign --role root
  fleet-hsm sign --no-input --reviewed 5d0f12ab34cd56ef
  fleet-hsm sign change.request --root root.json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				a.requestFrom(cmd.Flags().Changed("path"))
			}
			return a.runSign(cmd.Context(), args, o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.role, "role", "", "sign for this role only")
	f.StringArrayVar(&o.key, "key", nil, "where the key is (URI; may be given more than once)")
	f.StringArrayVar(&o.reviewed, "reviewed", nil, "SHA-256 of a payload that was reviewed, at least 8 digits")
	f.StringVar(&o.root, "root", "", "root.json that the request must lead back to")
	o.keys = addRoleKeyFlags(f, repo.RoleRoot, repo.RoleTargets)
	return cmd
}

// reviewedMismatch: a --reviewed hash is of no payload that is to be signed. Exit 4.
type reviewedMismatch struct {
	hash string
	have []string
}

func (e *reviewedMismatch) Error() string {
	return fmt.Sprintf("--reviewed %s is not the hash of what would be signed (%s)", e.hash, strings.Join(e.have, ", "))
}

// unreviewed: a role would be signed without anybody having looked. Exit 2.
type unreviewed struct{ role string }

func (e *unreviewed) Error() string {
	return fmt.Sprintf("signing %s without a terminal needs --reviewed HASH", e.role)
}

func (a *app) runSign(ctx context.Context, args []string, o signOptions) error {
	if o.role != "" && o.role != repo.RoleRoot && o.role != repo.RoleTargets {
		return usagef("--role %q: root and targets are staged; commit signs snapshot and timestamp", o.role)
	}
	if err := checkHashes(o.reviewed); err != nil {
		return err
	}
	if len(args) == 1 {
		return a.signRequest(ctx, args[0], o)
	}
	if o.root != "" {
		return usagef("--root goes with a request FILE; here the published root is trusted")
	}
	w, err := a.open(ctx, "sign")
	if err != nil {
		return err
	}
	// Nobody waits for the person who is about to be asked, least of all a timestamp
	// from cron: the signatures are merged under the lock afterwards.
	w.end()
	if w.staged == nil {
		return repo.ErrNothingStaged
	}
	s := &signing{
		a: a, keys: w.keys, change: w.staged, o: o,
		card:     w.card,
		refusals: []func() error{func() error { return w.r.CheckSound(w.p, w.staged) }},
		keep:     func() error { return w.mergeBack(ctx) },
		done:     `everything is signed; "fleet-hsm commit" publishes it`,
	}
	if err := s.run(ctx); err != nil {
		return err
	}
	return a.report("sign", nil)
}

// mergeBack puts the signatures made here into the staged change, if it still is the
// one that was signed.
func (w *work) mergeBack(ctx context.Context) error {
	// A signature that a person has just given is not thrown away by Ctrl-C.
	lock, err := w.r.Lock(context.WithoutCancel(ctx), "sign", w.a.lockTimeoutValue())
	if err != nil {
		return err
	}
	defer lock.Unlock()
	p, err := w.r.Load()
	if errors.Is(err, repo.ErrNoRepository) {
		p, err = nil, nil
	}
	if err != nil {
		return err
	}
	staged, err := w.r.Staged(p)
	if err == nil {
		_, err = staged.Merge(w.staged)
	}
	if err != nil {
		return fmt.Errorf("the signature was not kept, because the staged change is another one now: %w", err)
	}
	if err := w.r.Save(staged); err != nil {
		return err
	}
	_, err = w.staged.Merge(staged)
	return err
}

// card describes the staged change for the person who is asked.
func (w *work) card() (repo.Card, error) {
	card, err := w.r.Card(w.p, w.staged, w.cfg.Expiries)
	if err == nil {
		w.a.warnUnattested(&card, w.staged, nil)
	}
	return card, err
}

// signing is a change that the keys of this machine are to sign.
type signing struct {
	a      *app
	keys   *keyring.Ring
	change *repo.Change
	o      signOptions
	card   func() (repo.Card, error)
	// refusals: see consent.
	refusals []func() error
	// keep saves the signatures so far.
	keep func() error
	// trust is a question to be answered before the card is shown, or "".
	trust string
	// done is said when every threshold is met.
	done string
}

func (s *signing) run(ctx context.Context) error {
	if err := s.useKeys(); err != nil {
		return err
	}
	docs := toSign(s.change, s.o.role)
	// A hash of something else is a wrong argument: it says nothing of this change.
	if err := matchReviewed(s.change, docs, s.o.reviewed); err != nil {
		return err
	}
	if err := s.consent(docs).obtain(ctx); err != nil {
		return err
	}
	return s.sign(ctx, docs)
}

func (s *signing) useKeys() error {
	if err := s.o.keys.use(s.keys); err != nil {
		return err
	}
	for _, text := range s.o.key {
		for _, role := range []string{repo.RoleRoot, repo.RoleTargets} {
			if err := s.keys.Add(role, text); err != nil {
				return err
			}
		}
	}
	return nil
}

// toSign gives what still needs signatures.
func toSign(c *repo.Change, role string) []*repo.Doc {
	var docs []*repo.Doc
	for _, d := range c.Docs() {
		if !d.Met() && (role == "" || role == d.Role()) {
			docs = append(docs, d)
		}
	}
	return docs
}

func checkHashes(list []string) error {
	for _, h := range list {
		if err := checkHash(h); err != nil {
			return err
		}
	}
	return nil
}

func checkHash(h string) error {
	clean := cleanHash(h)
	if len(clean) < 8 || len(clean) > 64 || strings.Trim(clean, "0123456789abcdef") != "" {
		return usagef("--reviewed %q is not at least 8 hexadecimal digits of a SHA-256", h)
	}
	return nil
}

// cleanHash takes a hash with the blanks in which review prints it.
func cleanHash(h string) string { return strings.ToLower(strings.ReplaceAll(h, " ", "")) }

// consent: --yes does not answer for what others staged, and without a terminal each
// payload must have been reviewed.
func (s *signing) consent(docs []*repo.Doc) *consent {
	keys := map[string][]repo.Key{}
	for _, d := range docs {
		keys[d.Role()] = d.Missing()
	}
	return &consent{
		a: s.a, ui: s.a.person(), keys: s.keys, change: s.change, docs: docs, needs: keys, hints: s.keys.Hints, card: s.card,
		refusals: s.refusals,
		ask:      true, trust: s.trust,
		alone: func() error {
			if len(docs) == 0 {
				return nil
			}
			if s.trust != "" {
				return usage(errNoRootPinned)
			}
			if roles := unreviewedOf(docs, s.o.reviewed); len(roles) > 0 {
				return usage(&unreviewed{role: roles[0]})
			}
			return s.a.logCard(docs)
		},
	}
}

// errNoRootPinned: a person would have been asked whether they know the first root of a
// request.
var errNoRootPinned = errors.New("this request's own root is all that it rests on, and without a terminal nobody can say that they know it; pin the root that you trust with --root FILE, or trusted-root: in the configuration")

func rolesOf(docs []*repo.Doc) []string {
	var roles []string
	for _, d := range docs {
		roles = append(roles, d.Role())
	}
	return roles
}

// sign signs each document as far as the keys here go, saving after each, and then
// says who must still sign.
func (s *signing) sign(ctx context.Context, docs []*repo.Doc) error {
	var short error
	for _, d := range docs {
		before := signedBy(d)
		err := s.keys.Sign(ctx, s.a.person(), d, s.keep)
		if signedBy(d) > before {
			if kerr := s.keep(); kerr != nil {
				return kerr
			}
		}
		if err != nil && !as[*keyring.ShortError](err) {
			return err
		}
		if err != nil && short == nil {
			short = err
		}
	}
	s.a.nameTallies(s.change)
	if short == nil {
		short = s.keys.ShortOf(s.change)
	}
	if short != nil {
		return short
	}
	s.a.note("%s", s.done)
	return nil
}

// signedBy counts the keys that have signed.
func signedBy(d *repo.Doc) int {
	n := 0
	for _, k := range d.Keys() {
		if d.Signed(k.ID) {
			n++
		}
	}
	return n
}

func (a *app) nameTallies(c *repo.Change) {
	for _, d := range c.Docs() {
		tallies := d.Tallied()
		for _, t := range tallies {
			by := ""
			if len(tallies) > 1 {
				by = " (" + t.By + ")"
			}
			a.note("%s v%d has %d of %d signatures%s", d.Role(), d.Version(), t.Have, t.Need, by)
		}
	}
}

func named(file string, err error) error { return fmt.Errorf("request %q: %w", file, err) }
