package workflow

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/keyring"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/diff"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// consent stands between a change and the keys, whichever command is to sign it. Its
// order is the same for all: the policy of this machine, whatever else refuses, the
// review, a yes. PINs, passphrases and touches come after it, and only then.
type consent struct {
	s      *Session
	ui     Person
	change *repo.Change
	// docs are to be signed, by keys of needs.
	docs      []*meta.Doc
	needs     map[string][]meta.Key
	hints     map[tuf.KeyID]keyring.Hint
	described func() (diff.Review, error)
	// refusals are whatever else could make the signature wrong or pointless.
	refusals []func() error
	// alone is what must hold where nobody can be asked; may be nil.
	alone func() error
	// ask: a person at the terminal is shown the review and has to say yes, after
	// answering the question trust if there is one.
	ask   bool
	trust string
}

func (c *consent) obtain(ctx context.Context) error {
	var review diff.Review
	asking := c.ask && c.ui.HasTerminal()
	cfg := c.s.Config
	if len(c.docs) > 0 && (asking || len(cfg.Policy) > 0) {
		var err error
		if review, err = c.described(); err != nil {
			return err
		}
		if err := c.s.checkPolicy(c.change, review, rolesOf(c.docs), c.hints); err != nil {
			return err
		}
	}
	if err := c.refuse(ctx); err != nil {
		return err
	}
	if len(c.docs) == 0 || !asking {
		return nil
	}
	return c.show(ctx, review)
}

func (c *consent) refuse(ctx context.Context) error {
	for _, refusal := range c.refusals {
		if err := refusal(); err != nil {
			return err
		}
	}
	if err := c.s.Keys.CheckPINSources(ctx, c.needs); err != nil {
		return err
	}
	if c.alone == nil || c.ui.HasTerminal() {
		return nil
	}
	return c.alone()
}

func (c *consent) show(ctx context.Context, review diff.Review) error {
	if err := c.s.opts.Talk.CanReview(); err != nil {
		return err
	}
	if c.trust != "" {
		if err := c.ui.Confirm(ctx, c.trust); err != nil {
			return err
		}
	}
	c.s.opts.Talk.Review(review)
	if err := c.s.opts.Log.review(c.docs); err != nil {
		return err
	}
	return c.ui.Confirm(ctx, "Sign this?")
}

// NotReviewed: the command would sign what another one staged, and nobody says that
// they have looked at it. Exit 1.
type NotReviewed struct {
	staged *repo.Change
	roles  []string
}

func (e *NotReviewed) Error() string {
	const enough = 5
	var what []string
	for i, s := range e.staged.Intents {
		if i == enough {
			what = append(what, fmt.Sprintf("and %d more", len(e.staged.Intents)-enough))
			break
		}
		text := fmt.Sprintf("%.200q", s)
		if by, ok := StagingOf(e.staged.Stagings, s); ok {
			text += fmt.Sprintf(" (says: by %.40q of %.40q, %s)", by.Command, by.By, StagedAt(by.At))
		}
		what = append(what, text)
	}
	if len(what) == 0 {
		what = []string{"it does not say what it does"}
	}
	return fmt.Sprintf("a change is staged that this command did not stage, and %s would be signed with it: %s (staged %s)",
		strings.Join(e.roles, " and "), strings.Join(what, "; "), e.staged.Created.UTC().Format("2006-01-02 15:04 UTC"))
}

// Is makes errors.Is(err, repo.ErrRefused) hold.
func (e *NotReviewed) Is(target error) bool { return target == meta.ErrRefused }

// Join takes what is staged along into the change of this command. Without a terminal
// somebody must have reviewed each part of it that its keys have not signed yet.
func (w *Session) Join(reviewed []string, stageOnly, drop bool) error {
	if err := CheckHashes(reviewed); err != nil {
		return err
	}
	if drop && w.Staged != nil {
		return w.dropStaged()
	}
	if w.Staged == nil {
		if len(reviewed) > 0 {
			return fmt.Errorf("--reviewed is of what is staged already: %w", repo.ErrNothingStaged)
		}
		return nil
	}
	open := toSign(w.Staged, "")
	if err := matchReviewed(w.Staged, open, reviewed); err != nil {
		return err
	}
	w.joined = len(open) > 0
	if w.joined && !stageOnly && !w.opts.DryRun && !w.opts.Person.HasTerminal() {
		if roles := unreviewedOf(open, reviewed); len(roles) > 0 {
			return &NotReviewed{staged: w.Staged, roles: roles}
		}
	}
	w.note("adding to the staged change (%s)", strings.Join(w.quoted(w.Staged.Intents), "; "))
	w.opts.Talk.Keep("took along what was staged: " + strings.Join(w.Staged.Intents, "; "))
	return nil
}

// dropStaged drops what waits, and begins afresh.
func (w *Session) dropStaged() error {
	w.note("dropping the staged change (%s)", strings.Join(w.quoted(w.Staged.Intents), "; "))
	w.opts.Talk.Keep("dropped what was staged: " + strings.Join(w.Staged.Intents, "; "))
	w.Staged = nil
	if w.opts.DryRun {
		return nil
	}
	return w.Repo.Discard()
}

// unreviewedOf lists the roles of documents whose hash is not among those reviewed.
func unreviewedOf(docs []*meta.Doc, reviewed []string) []string {
	var roles []string
	for _, d := range docs {
		if !slices.ContainsFunc(reviewed, func(h string) bool { return anyHash([]*meta.Doc{d}, h) }) {
			roles = append(roles, d.Role())
		}
	}
	return roles
}

// matchReviewed: each hash is of a payload of this change, and one of them is of a
// payload that is to be signed, unless none is. The others are of roles that are signed
// already.
func matchReviewed(c *repo.Change, docs []*meta.Doc, reviewed []string) error {
	for _, h := range reviewed {
		if !anyHash(c.Docs(), h) {
			return mismatch(h, c.Docs())
		}
	}
	if n := len(reviewed); n > 0 && len(docs) > 0 && !slices.ContainsFunc(reviewed, func(h string) bool { return anyHash(docs, h) }) {
		return mismatch(reviewed[n-1], docs)
	}
	return nil
}

func anyHash(docs []*meta.Doc, h string) bool {
	return slices.ContainsFunc(docs, func(d *meta.Doc) bool { return strings.HasPrefix(d.Hash(), cleanHash(h)) })
}

func mismatch(h string, docs []*meta.Doc) error {
	e := &ReviewedMismatch{hash: h}
	for _, d := range docs {
		e.have = append(e.have, d.Role()+" "+d.Hash()[:16])
	}
	return e
}

// quoted shows each intent between quotes: whoever staged the change wrote it.
func (w *Session) quoted(intents []string) []string {
	var out []string
	for _, s := range intents {
		out = append(out, w.opts.Talk.Quote(s))
	}
	return out
}
