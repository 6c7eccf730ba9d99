package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

type signOptions struct {
	role     string
	key      []string
	reviewed []string
	keys     roleKeyFlags
}

func (a *app) signCommand() *cobra.Command {
	var o signOptions
	cmd := &cobra.Command{
		Use:   "sign",
		Short: "Sign what is staged with the keys within reach",
		Long: `sign shows the sign card and asks before any device is used. Without a terminal it
needs --reviewed HASH, as "fleet-hsm review" printed it, once for each role that
signs. When every threshold is met, "fleet-hsm commit" publishes the change.`,
		Example: `  fleet-hsm sign --role root
  fleet-hsm sign --no-input --reviewed 5d0f12ab34cd56ef`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runSign(cmd.Context(), o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.role, "role", "", "sign for this role only")
	f.StringArrayVar(&o.key, "key", nil, "where the key is (URI; may be given more than once)")
	f.StringArrayVar(&o.reviewed, "reviewed", nil, "SHA-256 of a payload that was reviewed, at least 8 digits")
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

func (a *app) runSign(ctx context.Context, o signOptions) error {
	if o.role != "" && o.role != repo.RoleRoot && o.role != repo.RoleTargets {
		return usagef("--role %q: root and targets are staged; commit signs snapshot and timestamp", o.role)
	}
	for _, h := range o.reviewed {
		if err := checkHash(h); err != nil {
			return err
		}
	}
	w, err := a.open(ctx, "sign")
	if err != nil {
		return err
	}
	defer w.end()
	if w.staged == nil {
		return repo.ErrNothingStaged
	}
	if err := w.useForSign(o); err != nil {
		return err
	}
	docs := toSign(w.staged, o.role)
	if err := w.confirmSign(ctx, docs, o.reviewed); err != nil {
		return err
	}
	keys := map[string][]repo.Key{}
	for _, d := range docs {
		keys[d.Role()] = d.Missing()
	}
	if err := w.keys.checkPINSources(keys); err != nil {
		return err
	}
	return w.signStaged(ctx, docs)
}

func (w *work) useForSign(o signOptions) error {
	if err := w.keys.use(o.keys); err != nil {
		return err
	}
	for _, s := range o.key {
		u, err := signer.Parse(s)
		if err != nil {
			return err
		}
		for _, role := range []string{repo.RoleRoot, repo.RoleTargets} {
			w.keys.uris[role] = append(w.keys.uris[role], u)
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

func checkHash(h string) error {
	clean := cleanHash(h)
	if len(clean) < 8 || len(clean) > 64 || strings.Trim(clean, "0123456789abcdef") != "" {
		return usagef("--reviewed %q is not at least 8 hexadecimal digits of a SHA-256", h)
	}
	return nil
}

// cleanHash takes a hash with the blanks in which review prints it.
func cleanHash(h string) string { return strings.ToLower(strings.ReplaceAll(h, " ", "")) }

// confirmSign shows the card and asks at a terminal; elsewhere it compares the
// hashes. --yes does not answer here.
func (w *work) confirmSign(ctx context.Context, docs []*repo.Doc, reviewed []string) error {
	if len(docs) == 0 {
		return nil
	}
	if err := matchReviewed(docs, reviewed); err != nil {
		return err
	}
	ui := w.a.askUI()
	if !ui.hasTerminal() {
		return allReviewed(docs, reviewed)
	}
	card, err := w.r.Card(w.p, w.staged, w.cfg.expiries)
	if err != nil {
		return err
	}
	w.a.showCard(w.a.stderr, card, w.keys)
	return ui.confirm(ctx, "Sign this?")
}

func matchReviewed(docs []*repo.Doc, reviewed []string) error {
	for _, h := range reviewed {
		var have []string
		found := false
		for _, d := range docs {
			have = append(have, d.Role()+" "+d.Hash()[:16])
			found = found || strings.HasPrefix(d.Hash(), cleanHash(h))
		}
		if !found {
			return &reviewedMismatch{hash: h, have: have}
		}
	}
	return nil
}

func allReviewed(docs []*repo.Doc, reviewed []string) error {
	for _, d := range docs {
		found := false
		for _, h := range reviewed {
			found = found || strings.HasPrefix(d.Hash(), cleanHash(h))
		}
		if !found {
			return usage(&unreviewed{role: d.Role()})
		}
	}
	return nil
}

// signStaged signs each document as far as the keys here go, saving after each, and
// then says who must still sign.
func (w *work) signStaged(ctx context.Context, docs []*repo.Doc) error {
	c := w.staged
	var short error
	for _, d := range docs {
		err := w.keys.sign(ctx, d, func() error { return w.r.Save(c) })
		if serr := w.r.Save(c); serr != nil {
			return serr
		}
		if err != nil && !as[*shortError](err) {
			return err
		}
		if err != nil && short == nil {
			short = err
		}
	}
	for _, d := range c.Docs() {
		for _, t := range d.Tallies() {
			w.a.note("%s v%d has %d of %d signatures", d.Role(), d.Version(), t.Have, t.Need)
		}
	}
	for _, d := range c.Docs() {
		if err := w.keys.short(d); err != nil && short == nil {
			short = err
		}
	}
	if short != nil {
		return short
	}
	w.a.note(`everything is signed; "fleet-hsm commit" publishes it`)
	return w.a.report("sign", nil)
}
