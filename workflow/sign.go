package workflow

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/fleet-hsm/fleet-hsm/internal/misuse"
	"github.com/fleet-hsm/fleet-hsm/keyring"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/diff"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// MergeBack puts the signatures made here into the staged change, if it still is the
// one that was signed.
func (w *Session) MergeBack(ctx context.Context) error {
	// A signature that a person has just given is not thrown away by Ctrl-C.
	lock, err := w.Repo.Lock(context.WithoutCancel(ctx), w.opts.Command, w.opts.LockTimeout)
	if err != nil {
		return err
	}
	defer lock.Unlock()
	p, err := w.Repo.Load()
	if errors.Is(err, repo.ErrNoRepository) {
		p, err = nil, nil
	}
	if err != nil {
		return err
	}
	staged, err := w.Repo.Staged(p)
	if err == nil {
		_, err = staged.Merge(w.Staged)
	}
	if err != nil {
		return fmt.Errorf("the signature was not kept, because the staged change has changed since: %w", err)
	}
	if err := w.Repo.Save(staged); err != nil {
		return err
	}
	_, err = w.Staged.Merge(staged)
	return err
}

// Review describes a change for the person who is asked.
func (w *Session) Review(c *repo.Change) (diff.Review, error) {
	review, err := diff.Of(w.Repo, w.Published, c, w.Config.Expiries)
	if err == nil {
		w.WarnUnattested(&review, c, nil)
	}
	return review, err
}

// ReviewedMismatch: a --reviewed hash is of no payload that is to be signed. Exit 4.
type ReviewedMismatch struct {
	hash string
	have []string
}

func (e *ReviewedMismatch) Error() string {
	return fmt.Sprintf("--reviewed %s is not the hash of what would be signed (%s)", e.hash, strings.Join(e.have, ", "))
}

// Unreviewed: a role would be signed without anybody having looked. Exit 2.
type Unreviewed struct{ role string }

func (e *Unreviewed) Error() string {
	return fmt.Sprintf("signing %s without a terminal needs --reviewed HASH", e.role)
}

// Signing is a change that the keys of this machine are to sign.
type Signing struct {
	Session *Session
	Change  *repo.Change
	// Role is the one to sign for, "" for all; reviewed are hashes that somebody looked at.
	Role     string
	Reviewed []string
	Review   func() (diff.Review, error)
	// Refusals: see consent.
	Refusals []func() error
	// Keep saves the signatures so far.
	Keep func() error
	// Trust is a question to be answered before the review is shown, or "".
	Trust string
	// Done is said when every threshold is met.
	Done string
	// File is the request that the signatures go into, "" for the staged change.
	File string
}

// HandBack: who was asked for a signature has given it, and others have still to give
// theirs. For whoever signed, all is done. Exit 3, as for every change that is short.
type HandBack struct {
	File  string
	Short error
}

func (e *HandBack) Error() string {
	return fmt.Sprintf("your signature is in %q: send it back. Signatures of others are still missing (%v)", e.File, e.Short)
}

func (e *HandBack) Unwrap() error { return e.Short }

// Run asks the person, signs, and says who must still sign.
func (s *Signing) Run(ctx context.Context) error {
	docs := toSign(s.Change, s.Role)
	// A hash of something else is a wrong argument: it says nothing of this change.
	if err := matchReviewed(s.Change, docs, s.Reviewed); err != nil {
		return err
	}
	if s.Session.opts.DryRun {
		return s.rehearse(docs)
	}
	if err := s.consent(docs).obtain(ctx); err != nil {
		return err
	}
	return s.sign(ctx, docs)
}

// toSign gives what still needs signatures.
func toSign(c *repo.Change, role string) []*meta.Doc {
	var docs []*meta.Doc
	for _, d := range c.Docs() {
		// Cold roles go with targets, whose entries they hold.
		with := role == meta.RoleTargets && !meta.IsRole(d.Role())
		if !d.Met() && (role == "" || role == d.Role() || with) {
			docs = append(docs, d)
		}
	}
	return docs
}

// CheckHashes refuses what can be the hash of no payload.
func CheckHashes(list []string) error {
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
		return misuse.Errorf("--reviewed %q is not at least 8 hexadecimal digits of a SHA-256", h)
	}
	return nil
}

// cleanHash takes a hash with the blanks in which review prints it.
func cleanHash(h string) string { return strings.ToLower(strings.ReplaceAll(h, " ", "")) }

// consent: --yes does not answer for what others staged, and without a terminal each
// payload must have been reviewed.
func (s *Signing) consent(docs []*meta.Doc) *consent {
	keys := map[string][]meta.Key{}
	for _, d := range docs {
		for _, k := range d.Missing() {
			keys[d.KeyRole(k)] = append(keys[d.KeyRole(k)], k)
		}
	}
	return &consent{
		s: s.Session, ui: s.Session.UI, change: s.Change, docs: docs, needs: keys, hints: s.Session.Keys.Hints, described: s.Review,
		refusals: s.Refusals,
		ask:      true, trust: s.Trust,
		alone: func() error {
			if len(docs) == 0 {
				return nil
			}
			if s.Trust != "" {
				return misuse.Of(errNoRootPinned)
			}
			if roles := unreviewedOf(docs, s.Reviewed); len(roles) > 0 {
				return misuse.Of(&Unreviewed{role: roles[0]})
			}
			return s.Session.opts.Log.review(docs)
		},
	}
}

// errNoRootPinned: a person would have been asked whether they know the first root of a
// request.
var errNoRootPinned = errors.New("this request's own root is all that it rests on, and without a terminal nobody can say that they know it; pin the root that you trust with --root FILE, or trusted-root: in the configuration")

func rolesOf(docs []*meta.Doc) []string {
	var roles []string
	for _, d := range docs {
		roles = append(roles, d.Role())
	}
	return roles
}

// sign signs each document as far as the keys here go, saving after each, and then
// says who must still sign.
func (s *Signing) sign(ctx context.Context, docs []*meta.Doc) error {
	var short error
	before := signaturesOf(docs)
	for _, d := range docs {
		kept := signedBy(d)
		err := s.Session.Keys.Sign(ctx, s.Session.UI, d, func() error {
			err := s.Keep()
			if err == nil {
				kept = signedBy(d)
			}
			return err
		})
		if signedBy(d) > kept {
			if kerr := s.Keep(); kerr != nil {
				return kerr
			}
		}
		if err != nil && !errors.As(err, new(*keyring.ShortError)) {
			return err
		}
		if err != nil && short == nil {
			short = err
		}
	}
	s.Session.NameTallies(s.Change)
	if short == nil {
		short = s.Session.Keys.ShortOf(s.Change)
	}
	if short != nil && s.File != "" && signaturesOf(docs) > before {
		return &HandBack{s.File, short}
	}
	if short != nil {
		return short
	}
	s.Session.note("%s", s.Done)
	return nil
}

func signaturesOf(docs []*meta.Doc) int {
	n := 0
	for _, d := range docs {
		n += signedBy(d)
	}
	return n
}

// signedBy counts the keys that have signed.
func signedBy(d *meta.Doc) int {
	n := 0
	for _, k := range d.Keys() {
		if d.Signed(k.ID) {
			n++
		}
	}
	return n
}

// NameTallies says how many have signed what.
func (w *Session) NameTallies(c *repo.Change) {
	for _, d := range c.Docs() {
		tallies := d.Tallied()
		for _, t := range tallies {
			by := ""
			if len(tallies) > 1 {
				by = " (" + t.By + ")"
			}
			w.note("%s v%d has %d of %d signatures%s", d.Role(), d.Version(), t.Have, t.Need, by)
		}
	}
}
